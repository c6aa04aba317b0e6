// Takes pieces of the length one wants from chunks of the length that comes, by generators that pause for more.
import { Failure } from "../core/failure.ts";

/** Every generator yields when it needs another chunk, and goes on after `push` or `end`. */
export class Chunks {
  #chunk: Buffer = Buffer.alloc(0);
  #at = 0;
  #ended = false;

  get isEnded(): boolean {
    return this.#ended;
  }

  /** Only once the last chunk was used up. */
  push(chunk: Buffer): void {
    this.#chunk = chunk;
    this.#at = 0;
  }

  end(): void {
    this.#ended = true;
  }

  /** So many bytes in one piece, good until the next are taken; nothing where the end may be, and is. */
  take(length: number): Generator<void, Buffer, void>;
  take(length: number, end: "may end"): Generator<void, Buffer | undefined, void>;
  *take(length: number, end?: "may end"): Generator<void, Buffer | undefined, void> {
    if (this.#chunk.length - this.#at >= length) return this.#next(length);
    const whole = Buffer.alloc(length);
    for (let done = 0; done < length; ) {
      if (!(yield* this.#more(done === 0 ? end : undefined))) return undefined;
      done += this.#next(length - done).copy(whole, done);
    }
    return whole;
  }

  /** Gives `use` so many bytes, in pieces. */
  *each(length: number, use: (bytes: Buffer, done: number) => void): Generator<void, void, void> {
    for (let done = 0; done < length; ) {
      yield* this.#more();
      const bytes = this.#next(length - done);
      use(bytes, done);
      done += bytes.length;
    }
  }

  *skip(length: number): Generator<void, void, void> {
    yield* this.each(length, () => {});
  }

  /** What is left of the chunk. */
  rest(): Buffer {
    return this.#next(Number.POSITIVE_INFINITY);
  }

  #next(most: number): Buffer {
    const bytes = this.#chunk.subarray(this.#at, Math.min(this.#chunk.length, this.#at + most));
    this.#at += bytes.length;
    return bytes;
  }

  /** False when the archive ends where it may. */
  *#more(end?: "may end"): Generator<void, boolean, void> {
    while (this.#at === this.#chunk.length) {
      if (this.#ended && end !== undefined) return false;
      if (this.#ended) throw cut();
      yield;
    }
    return true;
  }
}

export function cut(): Failure {
  return new Failure("invalid", "the archive ends in the middle of an entry; pack it again");
}
