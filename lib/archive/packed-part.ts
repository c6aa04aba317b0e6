// One archive on its way into a file: hashed, compressed, and hashed again.
import { createHash } from "node:crypto";
import fs from "node:fs";
import type { Digest } from "../core/digest.ts";
import { failureOf } from "../host/errno.ts";
import { type Compressing, openCompressing, type PackCompression } from "./compressing.ts";

export type PackedPart = {
  readonly path: string;
  readonly digest: Digest;
  readonly size: number;
  /** Of the archive without its compression. */
  readonly diffId: Digest;
  readonly diffSize: number;
};

/** So that some are compressed while others are read here, although not all that is read is to be compressed. */
const MOST_AHEAD = 4;

/** Failures of its methods: full, unavailable. What was written by then is the caller's to remove. */
export class PackingPart implements Disposable {
  readonly #path: string;
  readonly #fd: number;
  readonly #engine: Compressing;
  readonly #plain = createHash("sha256");
  readonly #packed = createHash("sha256");
  readonly #ahead: Array<Promise<void>> = [];
  #plainBytes = 0;
  #packedBytes = 0;

  /** `path` names nothing yet. */
  constructor(path: string, compression: PackCompression) {
    this.#path = path;
    this.#fd = fs.openSync(path, "wx", 0o600);
    this.#engine = openCompressing(compression, (packed) => this.#store(packed));
  }

  get bytes(): number {
    return this.#plainBytes;
  }

  /** Resolves when more may be written; `bytes` are the part's until `spent` is called. */
  async write(bytes: Buffer, spent: () => void): Promise<void> {
    this.#plain.update(bytes);
    this.#plainBytes += bytes.length;
    const taken = this.#engine.take(bytes).then(spent);
    // Awaited in its turn.
    taken.catch(() => undefined);
    this.#ahead.push(taken);
    if (this.#ahead.length >= MOST_AHEAD) await this.#ahead.shift();
  }

  async close(): Promise<PackedPart> {
    await Promise.all(this.#ahead);
    await this.#engine.end();
    return {
      path: this.#path,
      digest: `sha256:${this.#packed.digest("hex")}` as Digest,
      size: this.#packedBytes,
      diffId: `sha256:${this.#plain.digest("hex")}` as Digest,
      diffSize: this.#plainBytes,
    };
  }

  [Symbol.dispose](): void {
    this.#engine[Symbol.dispose]();
    fs.closeSync(this.#fd);
  }

  #store(packed: Buffer): void {
    this.#packed.update(packed);
    this.#packedBytes += packed.length;
    try {
      for (let done = 0; done < packed.length; ) done += fs.writeSync(this.#fd, packed, done);
    } catch (error) {
      throw failureOf(error, `Cannot write the archive "${this.#path}"`);
    }
  }
}
