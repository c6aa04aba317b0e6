// The two ways to keep what a program prints within bounds: its last bytes, or all of them up to a limit.
import { Failure } from "../core/failure.ts";

/** Keeps the last `limitBytes` bytes of what it is given. */
export class ByteTail {
  readonly #limitBytes: number;
  #chunks: Uint8Array[] = [];
  #bytes = 0;

  constructor(limitBytes: number) {
    this.#limitBytes = limitBytes;
  }

  push(chunk: Uint8Array): void {
    this.#chunks.push(chunk);
    this.#bytes += chunk.length;
    if (this.#bytes > 2 * this.#limitBytes) this.#chunks = [this.#cut()];
  }

  /** As text; a character cut in two at the front is dropped. */
  text(): string {
    return new TextDecoder().decode(this.#cut()).replace(/^\uFFFD+/, "");
  }

  #cut(): Uint8Array {
    const all = Buffer.concat(this.#chunks);
    const kept = all.subarray(Math.max(0, all.length - this.#limitBytes));
    this.#bytes = kept.length;
    return Uint8Array.from(kept);
  }
}

/** Keeps everything, and refuses with `out-of-range` what goes beyond `limitBytes`. */
export class BoundedBytes {
  readonly #limitBytes: number;
  readonly #of: string;
  readonly #chunks: Uint8Array[] = [];
  #bytes = 0;

  constructor(limitBytes: number, of: string) {
    this.#limitBytes = limitBytes;
    this.#of = of;
  }

  push(chunk: Uint8Array): void {
    this.#bytes += chunk.length;
    if (this.#bytes > this.#limitBytes) {
      throw new Failure(
        "out-of-range",
        `Cannot take what "${this.#of}" prints: it is more than ${this.#limitBytes} bytes`,
      );
    }
    this.#chunks.push(chunk);
  }

  bytes(): Uint8Array {
    return Uint8Array.from(Buffer.concat(this.#chunks));
  }
}
