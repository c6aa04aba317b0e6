// A sink that keeps a blob in memory and remembers how it came.
import type { Range } from "../../core/ranges.ts";
import type { BlobSink, Source } from "../reader.ts";

export class MemorySink implements BlobSink {
  readonly size: number;
  readonly bytes: Buffer;
  readonly writes: { readonly offset: number; readonly length: number; readonly source: Source }[] = [];
  /** Called before each write; what it throws is the sink's error. */
  before: (offset: number) => Promise<void> = async () => {};
  readonly #missing: readonly Range[];

  constructor(size: number, missing: readonly Range[] = [{ start: 0, end: size }]) {
    this.size = size;
    this.bytes = Buffer.alloc(size);
    this.#missing = missing;
  }

  missing(): readonly Range[] {
    return this.#missing;
  }

  async write(offset: number, chunk: Uint8Array, source: Source): Promise<void> {
    await this.before(offset);
    if (offset < 0 || offset + chunk.length > this.size) throw new Error("a write outside the blob");
    this.bytes.set(chunk, offset);
    this.writes.push({ offset, length: chunk.length, source });
  }
}
