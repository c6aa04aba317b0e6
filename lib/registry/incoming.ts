// One answer as it arrives: its status, its headers, and a body that goes to whoever takes it.
import type { Dispatcher } from "undici";

type Headers = Record<string, string | string[] | undefined>;

/** What a question gets back. To be read or let go: a body that is neither holds its connection. */
export interface Reply {
  readonly status: number;
  header(name: string): string | undefined;
  /** Lets a short body end, so that its connection can be used again; aborts a longer one. */
  discard(): Promise<void>;
  /** Breaks the answer off; after its end nothing happens. */
  abort(reason: unknown): void;
}

/** The handler undici calls, and the reply its caller reads. */
export class Incoming implements Dispatcher.DispatchHandler, Reply {
  status = 0;
  readonly #started = Promise.withResolvers<this>();
  readonly #ended = Promise.withResolvers<void>();
  readonly #signal: AbortSignal;
  readonly #onAbort = () => this.abort(this.#signal.reason);
  #headers: Headers = {};
  #controller: Dispatcher.DispatchController | undefined;
  #take: (chunk: Buffer) => void = () => {};
  #isOver = false;

  constructor(signal: AbortSignal) {
    this.#signal = signal;
    signal.addEventListener("abort", this.#onAbort, { once: true });
    // Whoever reads learns of it; nobody may be waiting.
    this.#started.promise.catch(() => undefined);
    this.#ended.promise.catch(() => undefined);
  }

  /** Resolves once status and headers are here. */
  get started(): Promise<this> {
    return this.#started.promise;
  }

  get headers(): Readonly<Record<string, string>> {
    return Object.fromEntries(Object.keys(this.#headers).map((name) => [name, this.header(name) ?? ""]));
  }

  header(name: string): string | undefined {
    const value = this.#headers[name];
    return Array.isArray(value) ? value.join(", ") : value;
  }

  /**
   * Has `take` called with each piece of the body as it arrives, which is the taker's for the length of the call only.
   * Resolves at its end; rejects with what broke it off, or with what `take` threw, which breaks it off.
   */
  async pour(take: (chunk: Buffer) => void): Promise<void> {
    this.#take = take;
    if (!this.#isOver) this.#controller?.resume();
    await this.#ended.promise;
  }

  /** The whole body, or undefined when it is longer than `limit` (and then it is aborted). */
  async bytes(limit: number): Promise<Buffer | undefined> {
    const chunks: Buffer[] = [];
    let length = 0;
    const tooLong = new Error("longer than its limit");
    try {
      await this.pour((chunk) => {
        length += chunk.length;
        if (length > limit) throw tooLong;
        chunks.push(Buffer.from(chunk));
      });
    } catch (error) {
      if (error === tooLong) return undefined;
      throw error;
    }
    return Buffer.concat(chunks);
  }

  /** Whether anything comes at all; the rest of it is not waited for. */
  async hasBytes(): Promise<boolean> {
    const enough = new Error("enough");
    return await this.pour(() => {
      throw enough;
    }).then(
      () => false,
      (error: unknown) => {
        if (error === enough) return true;
        throw error;
      },
    );
  }

  async discard(): Promise<void> {
    await this.bytes(16 * 1024).catch(() => undefined);
  }

  abort(reason: unknown): void {
    if (this.#isOver) return;
    const error = reason instanceof Error ? reason : new Error("aborted", { cause: reason });
    this.#controller?.abort(error);
    this.#finish({ error: reason });
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller;
    if (this.#isOver) controller.abort(new Error("aborted before it was sent"));
  }

  onResponseStart(controller: Dispatcher.DispatchController, status: number, headers: Headers): void {
    if (status < 200) return;
    this.status = status;
    this.#headers = headers;
    // Until somebody takes what follows.
    controller.pause();
    this.#started.resolve(this);
  }

  onResponseData(_controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (this.#isOver) return;
    try {
      this.#take(chunk);
    } catch (error) {
      this.abort(error);
    }
  }

  onResponseEnd(): void {
    // A turn later the pool has its connection back: whoever asks next then uses it, instead of opening another.
    setImmediate(() => this.#finish({}));
  }

  onResponseError(_controller: Dispatcher.DispatchController, error: Error): void {
    this.#finish({ error });
  }

  #finish(end: { readonly error?: unknown }): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#signal.removeEventListener("abort", this.#onAbort);
    if (!("error" in end)) return this.#ended.resolve();
    this.#started.reject(end.error);
    this.#ended.reject(end.error);
  }
}
