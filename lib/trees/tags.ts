// What a tag meant when it was last asked for, and when it must be asked for again.
import path from "node:path";
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
  #writing: Promise<unknown> = Promise.resolve();

  constructor(files: Files, layout: Layout) {
    this.#files = files;
    this.#layout = layout;
  }

  /** Takes in what is on the disk; once, before anything else. */
  async open(): Promise<void> {
    for (const { name } of await this.#files.list(this.#layout.tags)) {
      const at = path.join(this.#layout.tags, name);
      const digest = await this.#readRecord(at);
      if (digest === undefined) await this.#files.removeFile(at);
      else this.#known.set(at, digest);
    }
  }

  /** Lets go of the tags that mean nothing that is here: about those the registry is asked anyway. */
  async forget(here: ReadonlySet<Digest>): Promise<void> {
    for (const [at, digest] of this.#known) {
      if (here.has(digest)) continue;
      this.#known.delete(at);
      await this.#write(() => this.#files.removeFile(at));
    }
  }

  /** What the tag last meant here, or undefined. */
  read(named: Named): Digest | undefined {
    return this.#known.get(this.#recordOf(named));
  }

  /** Ensures that the tag is known, durably, to mean this. */
  async remember(named: Named, digest: Digest): Promise<void> {
    const at = this.#recordOf(named);
    if (this.#known.get(at) === digest) return;
    this.#known.set(at, digest);
    const bytes = Buffer.from(`${JSON.stringify({ version: 1, ...named, digest })}\n`);
    await this.#write(() => this.#files.writeAtomically(at, bytes, { durable: true }));
  }

  #recordOf({ registry, repository, tag }: Named): string {
    return this.#layout.tagRecord(registry, repository, tag);
  }

  /** One after the other, so that what is known last is also what is on the disk. */
  async #write(work: () => Promise<unknown>): Promise<void> {
    const write = this.#writing.then(work);
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
