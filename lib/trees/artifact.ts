// From the digest that a Reference means to the one manifest that is taken, and its config where that is needed.
import type { Access } from "../core/access.ts";
import type { Digest } from "../core/digest.ts";
import { Failure } from "../core/failure.ts";
import { hasImageConfig } from "../core/image-plan.ts";
import { type Manifest, parseManifest } from "../core/manifest.ts";
import { pickPlatform } from "../core/pick-platform.ts";
import type { Platform } from "../core/platform.ts";
import type { Reader } from "../registry/reader.ts";

export type Artifact = {
  /** Of the manifest, also where an index was named. */
  readonly digest: Digest;
  readonly manifest: Manifest;
  readonly config?: Uint8Array;
};

/** Indexes within indexes: more than anybody makes on purpose. */
const maxDepth = 4;

/** Failures: the reader's, and those of parseManifest() and pickPlatform(). */
export async function readArtifact(
  reader: Reader,
  access: Access,
  wanted: { readonly digest: Digest; readonly platform: Platform },
  signal: AbortSignal,
): Promise<Artifact> {
  let { digest } = wanted;
  const seen: Digest[] = [];
  for (;;) {
    refuseNesting(access, [...seen, digest]);
    seen.push(digest);
    const { bytes, mediaType } = await reader.fetchManifest(access, digest, signal);
    const parsed = parseManifest(bytes, { digest, mediaType });
    if (parsed.kind === "manifest") {
      const { digest: named } = parsed.config;
      const config = hasImageConfig(parsed) ? await reader.fetchConfig(access, named, signal) : undefined;
      return { digest, manifest: parsed, ...(config === undefined ? {} : { config }) };
    }
    digest = pickPlatform(parsed, wanted.platform).digest;
  }
}

function refuseNesting(access: Access, path: readonly Digest[]): void {
  const refuse = (why: string) =>
    new Failure(
      "invalid",
      `Cannot read the index ${path[0]} of ${access.host}/${access.repository}: ${why}; name the digest of the manifest itself`,
    );
  if (new Set(path).size < path.length) throw refuse("it leads back to itself");
  if (path.length > maxDepth + 1) throw refuse(`indexes are nested in it more than ${maxDepth} deep`);
}
