// What a tag meant when it was last asked for, and when it must be asked for again.
import { type Digest, parseDigest } from "../core/digest.ts";
import { isFailure } from "../core/failure.ts";
import type { Reference } from "../core/reference.ts";
import type { Files } from "../host/files.ts";
import type { Layout } from "./layout.ts";

export type PullPolicy = "IfNotPresent" | "Always" | "Never";

/** As Kubernetes has it for images: a tag that moves by convention is asked for again each time. */
export function defaultPolicy(reference: Reference): PullPolicy {
  if (reference.digest !== undefined) return "IfNotPresent";
  return reference.tag === undefined || reference.tag === "latest" ? "Always" : "IfNotPresent";
}

type Named = { readonly registry: string; readonly repository: string; readonly tag: string };

export class Tags {
  readonly #known = new Map<string, Digest>();
  readonly #files: Files;
  readonly #layout: Layout;
  #writing: Promise<void> = Promise.resolve();

  constructor(files: Files, layout: Layout) {
    this.#files = files;
    this.#layout = layout;
  }

  /** What the tag last meant here, or undefined. */
  async read(named: Named): Promise<Digest | undefined> {
    const at = this.#layout.tagRecord(named.registry, named.repository, named.tag);
    const known = this.#known.get(at);
    if (known !== undefined) return known;
    const digest = await this.#readRecord(at);
    if (digest !== undefined) this.#known.set(at, digest);
    return digest;
  }

  /** Ensures that the tag is known, durably, to mean this. */
  async remember(named: Named, digest: Digest): Promise<void> {
    if ((await this.read(named)) === digest) return;
    const at = this.#layout.tagRecord(named.registry, named.repository, named.tag);
    this.#known.set(at, digest);
    const bytes = Buffer.from(`${JSON.stringify({ version: 1, ...named, digest })}\n`);
    const write = this.#writing.then(() => this.#files.writeAtomically(at, bytes, { durable: true }));
    this.#writing = write.catch(() => {});
    await write;
  }

  async #readRecord(at: string): Promise<Digest | undefined> {
    try {
      const text = Buffer.from(await this.#files.read(at)).toString("utf8");
      return parseDigest((JSON.parse(text) as { digest: string }).digest);
    } catch (error) {
      // Torn or missing: the registry is asked, which is right whatever stood here.
      if (isFailure(error) || error instanceof SyntaxError || error instanceof TypeError) return undefined;
      throw error;
    }
  }
}
