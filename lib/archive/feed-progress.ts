// How far a growing file may be read, shared between the thread that downloads and those that read.

const SIGNAL = 0;
const STATE = 1;
const GROWING = 0;
const ENDED = 1;
const ABORTED = 2;

/** How far the file is whole from its start, and whether more will come. */
export type FeedState = { readonly bytes: number; readonly state: "growing" | "ended" | "aborted" };

/** Over shared memory, so that it costs no message per chunk. Any number of threads may follow one feed. */
export class FeedProgress {
  readonly shared: SharedArrayBuffer;
  readonly #words: Int32Array<SharedArrayBuffer>;
  readonly #bytes: BigInt64Array<SharedArrayBuffer>;

  /** A new one, or the same one in another thread. */
  constructor(shared: SharedArrayBuffer = new SharedArrayBuffer(16)) {
    this.shared = shared;
    this.#words = new Int32Array(shared, 0, 2);
    this.#bytes = new BigInt64Array(shared, 8, 1);
  }

  /** Every byte before `contiguousBytes` is in the file. Never goes back; repeating is safe. */
  advance(contiguousBytes: number): void {
    if (Atomics.load(this.#bytes, 0) >= BigInt(contiguousBytes)) return;
    Atomics.store(this.#bytes, 0, BigInt(contiguousBytes));
    this.wake();
  }

  /** No more bytes will come; followers read what is there. */
  end(): void {
    this.#close(ENDED);
  }

  /** The bytes will not come; followers stop with `unavailable`. */
  abort(): void {
    this.#close(ABORTED);
  }

  read(): FeedState {
    const state = Atomics.load(this.#words, STATE);
    return {
      bytes: Number(Atomics.load(this.#bytes, 0)),
      state: state === GROWING ? "growing" : state === ENDED ? "ended" : "aborted",
    };
  }

  /** Resolves once there is more than `bytes`, or no more will come, or somebody calls `wake()`. */
  async changed(bytes: number): Promise<void> {
    const seen = Atomics.load(this.#words, SIGNAL);
    const now = this.read();
    if (now.bytes > bytes || now.state !== "growing") return;
    await Atomics.waitAsync(this.#words, SIGNAL, seen).value;
  }

  /** Makes every waiting follower look again. */
  wake(): void {
    Atomics.add(this.#words, SIGNAL, 1);
    Atomics.notify(this.#words, SIGNAL);
  }

  #close(state: number): void {
    Atomics.compareExchange(this.#words, STATE, GROWING, state);
    this.wake();
  }
}
