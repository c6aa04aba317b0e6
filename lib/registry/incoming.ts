// One answer as it arrives: its status, its headers, and a body that is read at the reader's pace.
import type { Dispatcher } from "undici";

type Headers = Record<string, string | string[] | undefined>;

/** As much as may lie unread before the connection is told to wait. */
const HIGH_WATER_BYTES = 256 * 1024;

/** The handler undici calls, and the body its caller reads. Read to the end or abort it: an unread body holds its connection. */
export class Incoming implements Dispatcher.DispatchHandler {
  status = 0;
  readonly #started = Promise.withResolvers<this>();
  readonly #signal: AbortSignal;
  readonly #onAbort = () => this.abort(this.#signal.reason);
  #headers: Headers = {};
  #controller: Dispatcher.DispatchController | undefined;
  #queue: Buffer[] = [];
  #queuedBytes = 0;
  #end: { readonly error?: unknown } | undefined;
  #reader: PromiseWithResolvers<Buffer | undefined> | undefined;

  constructor(signal: AbortSignal) {
    this.#signal = signal;
    signal.addEventListener("abort", this.#onAbort, { once: true });
  }

  /** Resolves once status and headers are here. */
  get started(): Promise<this> {
    return this.#started.promise;
  }

  header(name: string): string | undefined {
    const value = this.#headers[name];
    return Array.isArray(value) ? value.join(", ") : value;
  }

  /** The next bytes; undefined at the end. One reader at a time. Rejects with what broke the answer off. */
  async read(): Promise<Buffer | undefined> {
    const chunk = this.#queue.shift();
    if (chunk === undefined) return await this.#arrival();
    this.#queuedBytes -= chunk.length;
    if (this.#queuedBytes === 0) this.#controller?.resume();
    return chunk;
  }

  /** The whole body, or undefined when it is longer than `limit` (and then it is aborted). */
  async bytes(limit: number): Promise<Buffer | undefined> {
    const chunks: Buffer[] = [];
    let length = 0;
    for (let chunk = await this.read(); chunk !== undefined; chunk = await this.read()) {
      length += chunk.length;
      chunks.push(chunk);
      if (length <= limit) continue;
      this.abort(new Error("longer than its limit"));
      return undefined;
    }
    return Buffer.concat(chunks);
  }

  /** Lets a short body end, so that its connection can be used again; aborts a longer one. */
  async discard(): Promise<void> {
    await this.bytes(16 * 1024).catch(() => undefined);
  }

  /** Breaks the answer off; after its end nothing happens. */
  abort(reason: unknown): void {
    if (this.#end !== undefined) return;
    const error = reason instanceof Error ? reason : new Error("aborted", { cause: reason });
    this.#queue = [];
    this.#controller?.abort(error);
    this.#finish({ error: reason });
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller;
    if (this.#end !== undefined) controller.abort(new Error("aborted before it was sent"));
  }

  onResponseStart(controller: Dispatcher.DispatchController, status: number, headers: Headers): void {
    if (status < 200) return;
    this.status = status;
    this.#headers = headers;
    controller.pause();
    this.#started.resolve(this);
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (this.#end !== undefined) return;
    if (this.#reader !== undefined) {
      this.#reader.resolve(chunk);
      this.#reader = undefined;
      return;
    }
    this.#queue.push(chunk);
    this.#queuedBytes += chunk.length;
    if (this.#queuedBytes >= HIGH_WATER_BYTES) controller.pause();
  }

  onResponseEnd(): void {
    // A turn later the pool has its connection back: whoever asks next then uses it, instead of opening another.
    setImmediate(() => this.#finish({}));
  }

  onResponseError(_controller: Dispatcher.DispatchController, error: Error): void {
    this.#finish({ error });
  }

  async #arrival(): Promise<Buffer | undefined> {
    if (this.#end !== undefined) {
      if ("error" in this.#end) throw this.#end.error;
      return undefined;
    }
    const reader = Promise.withResolvers<Buffer | undefined>();
    this.#reader = reader;
    // May deliver at once.
    this.#controller?.resume();
    return await reader.promise;
  }

  #finish(end: { readonly error?: unknown }): void {
    if (this.#end !== undefined) return;
    this.#end = end;
    this.#signal.removeEventListener("abort", this.#onAbort);
    const reader = this.#reader;
    this.#reader = undefined;
    if (!("error" in end)) return reader?.resolve(undefined);
    this.#started.reject(end.error);
    // Whoever reads next learns it from `#end`; nobody may be waiting for the headers any more.
    this.#started.promise.catch(() => undefined);
    reader?.reject(end.error);
  }
}
