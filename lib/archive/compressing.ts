// Puts the compression onto an archive, chunk by chunk, on threads of libuv's while its caller goes on.
import { promisify } from "node:util";
import zlib from "node:zlib";

export type PackCompression = "gzip" | "zstd";

/** The same chunks give the same bytes, however fast they come. Those are stored in their order. */
export interface Compressing extends Disposable {
  /** Resolves when what became of the chunk is on its way: nothing reads it any more. Rejects with what ended it all. */
  take(chunk: Buffer): Promise<void>;
  /** Once all that was taken is: resolves when all of it is stored. */
  end(): Promise<void>;
}

/** What it throws ends the rest. */
export type Store = (packed: Buffer) => void;

export const openCompressing = (compression: PackCompression, store: Store): Compressing =>
  compression === "gzip" ? new GzipStream(store) : new ZstdFrames(store);

const GZIP_LEVEL = 6;
const ZSTD_LEVEL = 3;
const PIECE_BYTES = 1 << 20;

/** One member, since some unpack no more than the first. Says neither when nor by whom it was compressed. */
class GzipStream implements Compressing {
  readonly #engine = zlib.createGzip({ level: GZIP_LEVEL, chunkSize: PIECE_BYTES });
  readonly #stored: Promise<void>;

  constructor(store: Store) {
    this.#stored = this.#pump(store);
    // Awaited with the last byte; until then a chunk learns of it.
    this.#stored.catch((error: Error) => this.#engine.destroy(error));
  }

  async take(chunk: Buffer): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#engine.write(chunk, (error) => (error ? reject(error) : resolve()));
    // What ended it says more than that it ended.
    await promise.catch(async () => await this.#stored);
  }

  async end(): Promise<void> {
    this.#engine.end();
    await this.#stored;
  }

  [Symbol.dispose](): void {
    this.#engine.destroy();
  }

  async #pump(store: Store): Promise<void> {
    for await (const packed of this.#engine) store(packed as Buffer);
  }
}

const compressFrame = promisify<Buffer, zlib.ZstdOptions, Buffer>(zlib.zstdCompress);
/** Pieces that most frames fit in: larger ones only keep the collector busy. */
const FRAME: zlib.ZstdOptions = {
  chunkSize: PIECE_BYTES,
  params: { [zlib.constants.ZSTD_c_compressionLevel]: ZSTD_LEVEL },
};
/** At once: threads of libuv's are everybody's. */
const LANES = 2;

/**
 * Each chunk is a frame of its own, which readers take one after the other: so several are compressed at once, and each
 * in one piece, which costs a third less than as a part of a stream.
 */
class ZstdFrames implements Compressing {
  readonly #store: Store;
  readonly #lanes: Array<Promise<unknown>> = Array.from({ length: LANES }, () => Promise.resolve());
  #stored: Promise<void> = Promise.resolve();
  #isOpen = true;

  constructor(store: Store) {
    this.#store = store;
  }

  take(chunk: Buffer): Promise<void> {
    const before = this.#stored;
    const packing = this.#lanes.shift()?.then(() => compressFrame(chunk, FRAME));
    if (packing === undefined) throw new Error("there is a lane for each chunk");
    this.#lanes.push(packing);
    this.#stored = Promise.all([packing, before]).then(([packed]) => {
      // What it would be written to may be another's file by now.
      if (this.#isOpen) this.#store(packed);
    });
    // Awaited with this chunk, or with the last byte.
    this.#stored.catch(() => undefined);
    return this.#stored;
  }

  async end(): Promise<void> {
    await this.#stored;
  }

  [Symbol.dispose](): void {
    this.#isOpen = false;
  }
}
