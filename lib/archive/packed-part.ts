// One archive on its way into a file: hashed, compressed, and hashed again.
import { createHash } from "node:crypto";
import { once } from "node:events";
import fs from "node:fs";
import zlib from "node:zlib";
import type { Digest } from "../core/digest.ts";
import type { Compression } from "../core/layer-plan.ts";
import { failureOf } from "../host/errno.ts";

export type PackCompression = Exclude<Compression, "none">;

export type PackedPart = {
  readonly path: string;
  readonly digest: Digest;
  readonly size: number;
  /** Of the archive without its compression. */
  readonly diffId: Digest;
  readonly diffSize: number;
};

const CHUNK_BYTES = 1 << 20;
/** So that one chunk is compressed, on a thread of libuv's, while the next is read here. */
const AHEAD_BYTES = 2 * CHUNK_BYTES;
const ZSTD_LEVEL = 3;
const GZIP_LEVEL = 6;

/** Failures of its methods: full, unavailable. What was written by then is the caller's to remove. */
export class PackingPart implements Disposable {
  readonly #path: string;
  readonly #fd: number;
  readonly #engine: zlib.Gzip | zlib.ZstdCompress;
  readonly #plain = createHash("sha256");
  readonly #packed = createHash("sha256");
  readonly #pumping: Promise<void>;
  #plainBytes = 0;
  #packedBytes = 0;

  /** `path` names nothing yet. */
  constructor(path: string, compression: PackCompression) {
    this.#path = path;
    this.#fd = fs.openSync(path, "wx", 0o600);
    this.#engine = open(compression);
    this.#pumping = this.#pump();
    // Awaited with the last byte; until then a write learns of it.
    this.#pumping.catch((error: Error) => this.#engine.destroy(error));
  }

  get bytes(): number {
    return this.#plainBytes;
  }

  /** Resolves when more may be written; `bytes` are then the part's. */
  async write(bytes: Buffer): Promise<void> {
    this.#plain.update(bytes);
    this.#plainBytes += bytes.length;
    const takesMore = this.#engine.write(bytes) && !this.#engine.destroyed;
    if (!takesMore) await Promise.race([once(this.#engine, "drain"), this.#pumping]);
  }

  async close(): Promise<PackedPart> {
    this.#engine.end();
    await this.#pumping;
    return {
      path: this.#path,
      digest: `sha256:${this.#packed.digest("hex")}` as Digest,
      size: this.#packedBytes,
      diffId: `sha256:${this.#plain.digest("hex")}` as Digest,
      diffSize: this.#plainBytes,
    };
  }

  [Symbol.dispose](): void {
    this.#engine.destroy();
    fs.closeSync(this.#fd);
  }

  async #pump(): Promise<void> {
    for await (const chunk of this.#engine) {
      const bytes = chunk as Buffer;
      this.#packed.update(bytes);
      this.#packedBytes += bytes.length;
      this.#store(bytes);
    }
  }

  #store(bytes: Buffer): void {
    try {
      for (let done = 0; done < bytes.length; ) done += fs.writeSync(this.#fd, bytes, done);
    } catch (error) {
      throw failureOf(error, `Cannot write the archive "${this.#path}"`);
    }
  }
}

/** Neither writes when or by whom it was compressed. */
function open(compression: PackCompression): zlib.Gzip | zlib.ZstdCompress {
  const options = { chunkSize: CHUNK_BYTES, writableHighWaterMark: AHEAD_BYTES };
  if (compression === "gzip") return zlib.createGzip({ ...options, level: GZIP_LEVEL });
  return zlib.createZstdCompress({
    ...options,
    params: { [zlib.constants.ZSTD_c_compressionLevel]: ZSTD_LEVEL },
  });
}
