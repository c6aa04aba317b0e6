// The archives that a pack becomes: one, or several where one would be too large to be uploaded at once.
import path from "node:path";
import { Failure } from "../core/failure.ts";
import type { PackCompression } from "./compressing.ts";
import type { PackTally } from "./pack-progress.ts";
import { type PackedPart, PackingPart } from "./packed-part.ts";
import { readFully } from "./same-bytes.ts";
import { paddingOf } from "./tar-format.ts";

export type PackOutput = {
  /** An existing empty directory. What is in it after a Failure is the caller's to remove. */
  readonly directory: string;
  readonly compression: PackCompression;
  /** Where another archive begins, in bytes before compression; a single larger file is one of its own. */
  readonly layerMax: number;
  /**
   * Links are in the root alone, and a file's other names files of their own: ORAS takes a link's target from the
   * directory that the link is in, all others from the root.
   */
  readonly linksInRoot?: boolean;
};

/** What is compressed at a time. More finds a little more that was there before, and takes a little longer. */
const CHUNK_BYTES = 4 << 20;
/** What readers want after the last entry. */
const END_BYTES = 1024;

export class PackedParts implements Disposable {
  readonly #output: PackOutput;
  readonly #tally: PackTally;
  readonly #closed: PackedPart[] = [];
  #part: PackingPart | undefined;
  // Whole chunks only reach the compressor, so that what it makes of them does not depend on how they came.
  #chunk = Buffer.allocUnsafeSlow(CHUNK_BYTES);
  /** Those that were compressed: memory that is new costs more than what is written to it. */
  readonly #spent: Array<Buffer<ArrayBuffer>> = [];
  #used = 0;
  #hasEntry = false;

  constructor(output: PackOutput, tally: PackTally) {
    this.#output = output;
    this.#tally = tally;
  }

  /** Tells one part from the others; what an entry needs is to be said anew in each. */
  get number(): number {
    return this.#closed.length;
  }

  /** Before an entry of so many bytes; of none, before directories that are said on the way to others. */
  async begin(bytes: number): Promise<void> {
    const held = (this.#part?.bytes ?? 0) + this.#used;
    if (this.#part !== undefined && this.#hasEntry && held + bytes > this.#output.layerMax)
      await this.#end(this.#part);
    this.#hasEntry = bytes > 0 || (this.#part !== undefined && this.#hasEntry);
    const name = `part-${this.#closed.length}`;
    this.#part ??= new PackingPart(path.join(this.#output.directory, name), this.#output.compression);
  }

  async write(bytes: Buffer): Promise<void> {
    for (let done = 0; done < bytes.length; ) {
      const length = bytes.copy(this.#chunk, this.#used, done);
      done += length;
      await this.#filled(length);
    }
  }

  /** Failure `conflict` when the file has fewer bytes there. */
  async copy(fd: number, offset: number, length: number): Promise<void> {
    for (let done = 0; done < length; ) {
      const free = Math.min(CHUNK_BYTES - this.#used, length - done);
      const read = readFully(fd, this.#chunk.subarray(this.#used), offset + done, free);
      if (read < free) throw new Failure("conflict", "it became shorter while it was packed; try again");
      done += read;
      await this.#filled(read);
    }
  }

  /** After `bytes` of content. */
  async pad(bytes: number): Promise<void> {
    await this.write(Buffer.alloc(paddingOf(bytes)));
  }

  /** None where nothing was written. */
  async close(): Promise<readonly PackedPart[]> {
    if (this.#part !== undefined) await this.#end(this.#part);
    return this.#closed;
  }

  [Symbol.dispose](): void {
    this.#part?.[Symbol.dispose]();
    this.#part = undefined;
  }

  async #filled(bytes: number): Promise<void> {
    this.#used += bytes;
    if (this.#used === CHUNK_BYTES) await this.#flush();
  }

  async #flush(): Promise<void> {
    const chunk = this.#chunk;
    const bytes = chunk.subarray(0, this.#used);
    this.#used = 0;
    await this.#part?.write(bytes, () => this.#spent.push(chunk));
    this.#chunk = this.#spent.pop() ?? Buffer.allocUnsafeSlow(CHUNK_BYTES);
    this.#tally.store(bytes.length);
  }

  async #end(part: PackingPart): Promise<void> {
    await this.write(Buffer.alloc(END_BYTES));
    await this.#flush();
    this.#closed.push(await part.close());
    this[Symbol.dispose]();
  }
}
