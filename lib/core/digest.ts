// A content digest that is well formed by construction.
import { createHash } from "node:crypto";
import { Failure } from "./failure.ts";

/** `sha256:` and 64 lower-case hexadecimal digits. */
export type Digest = `sha256:${string}` & { readonly __brand: "Digest" };

const SHA256 = /^sha256:[0-9a-f]{64}$/;

/** The digest that `text` spells. Throws `invalid`, or `unsupported` for another algorithm. */
export function parseDigest(text: string): Digest {
  if (SHA256.test(text)) return text as Digest;
  const algorithm = /^([a-z0-9]+(?:[+._-][a-z0-9]+)*):[0-9a-zA-Z=_-]+$/.exec(text)?.[1];
  if (algorithm !== undefined && algorithm !== "sha256") {
    throw new Failure(
      "unsupported",
      `Cannot use the digest "${text}": only sha256 is supported, not ${algorithm}`,
    );
  }
  throw new Failure(
    "invalid",
    `Cannot read the digest "${text}": write sha256: and 64 lower-case hexadecimal digits`,
  );
}

/** The 64 hexadecimal digits alone: what files and folders are named. */
export function hexOf(digest: Digest): string {
  return digest.slice("sha256:".length);
}

/** The digest of bytes that are in memory. */
export function digestOf(bytes: Uint8Array | string): Digest {
  return `sha256:${createHash("sha256").update(bytes).digest("hex")}` as Digest;
}
