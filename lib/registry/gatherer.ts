// Gathers arriving bytes into large writes: one buffer is filled while the one before it is being written.

/** A buffer that is the taker's until it is disposed of. */
export type Borrowed = Disposable & { readonly bytes: Buffer };

export type GathererDeps = {
  readonly take: () => Promise<Borrowed>;
  readonly write: (offset: number, chunk: Uint8Array) => Promise<void>;
};

/** Writes one after the other, in the order of `put`. A failed write fails the next call, and every later one. */
export class Gatherer implements AsyncDisposable {
  readonly #deps: GathererDeps;
  #buffer: Borrowed | undefined;
  #offset = 0;
  #filled = 0;
  #writing: Promise<void> = Promise.resolve();

  constructor(deps: GathererDeps) {
    this.#deps = deps;
  }

  /** Copies the bytes, whose place is `at`; waits only when both buffers are in use. */
  async put(at: number, bytes: Uint8Array): Promise<void> {
    if (this.#buffer !== undefined && this.#offset + this.#filled !== at) await this.#send();
    for (let rest = bytes, offset = at; rest.length > 0; ) {
      if (this.#buffer === undefined) {
        this.#buffer = await this.#deps.take();
        this.#offset = offset;
        this.#filled = 0;
      }
      const piece = rest.subarray(0, this.#buffer.bytes.length - this.#filled);
      this.#buffer.bytes.set(piece, this.#filled);
      this.#filled += piece.length;
      offset += piece.length;
      rest = rest.subarray(piece.length);
      if (this.#filled === this.#buffer.bytes.length) await this.#send();
    }
  }

  /** Resolves when all that was put is written. */
  async flush(): Promise<void> {
    await this.#send();
    await this.#writing;
  }

  /** Waits for the write that is under way, so that no buffer is given back while it is read from. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#writing.catch(() => undefined);
    this.#buffer?.[Symbol.dispose]();
    this.#buffer = undefined;
  }

  async #send(): Promise<void> {
    await this.#writing;
    const buffer = this.#buffer;
    if (buffer === undefined) return;
    this.#buffer = undefined;
    const chunk = buffer.bytes.subarray(0, this.#filled);
    this.#writing = this.#deps.write(this.#offset, chunk).finally(() => buffer[Symbol.dispose]());
    // Told to whoever comes next; until then nobody may be listening.
    this.#writing.catch(() => undefined);
  }
}
