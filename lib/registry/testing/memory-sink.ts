// A sink that keeps a blob in memory and remembers how it came.
import type { Range } from "../../core/ranges.ts";
import type { BlobSink, Source } from "../reader.ts";

export class MemorySink implements BlobSink {
  readonly size: number;
  readonly into: SharedArrayBuffer;
  readonly bytes: Buffer;
  readonly writes: { readonly offset: number; readonly length: number; readonly source: Source }[] = [];
  hashes = false;
  /** As the reader told it last. */
  digest: string | undefined;
  /** Called before each piece is taken note of; what it throws is the sink's error. */
  before: (offset: number) => Promise<void> = async () => {};
  readonly #missing: readonly Range[];

  constructor(size: number, missing: readonly Range[] = [{ start: 0, end: size }]) {
    this.size = size;
    this.into = new SharedArrayBuffer(size);
    this.bytes = Buffer.from(this.into);
    this.#missing = missing;
  }

  missing(): readonly Range[] {
    return this.#missing;
  }

  async wrote({ start, end }: Range, source: Source, digest?: string): Promise<void> {
    await this.before(start);
    this.writes.push({ offset: start, length: end - start, source });
    this.digest = digest;
  }
}
