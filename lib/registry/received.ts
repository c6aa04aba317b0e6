// An answer that another thread receives, as the thread sees it that asked for it.
import type { Range } from "../core/ranges.ts";
import type { Reply } from "./incoming.ts";
import type { Ending, FromReceiver, PourOrder, SentError, ToReceiver } from "./receiver-messages.ts";

/** What became of a body: it ended, or the network broke it off. What the disk refused is thrown. */
export type Outcome = { readonly ending: Ending } | { readonly broken: Error };

type Told = (range: Range, digest: string | undefined) => void;

export class Received implements Reply {
  status = 0;
  readonly #id: number;
  readonly #say: (message: ToReceiver) => void;
  readonly #started = Promise.withResolvers<this>();
  readonly #ended = Promise.withResolvers<Outcome>();
  #headers: Readonly<Record<string, string>> = {};
  #told: Told = () => {};

  constructor(id: number, say: (message: ToReceiver) => void) {
    this.#id = id;
    this.#say = say;
    // Whoever waits learns of it; nobody may.
    this.#started.promise.catch(() => undefined);
    this.#ended.promise.catch(() => undefined);
  }

  /** Resolves once status and headers are here. */
  get started(): Promise<this> {
    return this.#started.promise;
  }

  /** Resolves when nothing of it will come any more. */
  get over(): Promise<void> {
    return this.#ended.promise.then(
      () => {},
      () => {},
    );
  }

  header(name: string): string | undefined {
    return this.#headers[name];
  }

  /** Calls `told` for what is in its place, in order. Nothing is written any more once it settles. */
  async pour(order: PourOrder, told: Told): Promise<Outcome> {
    this.#told = told;
    this.#say({ kind: "pour", id: this.#id, order });
    return await this.#ended.promise;
  }

  async discard(): Promise<void> {
    this.#say({ kind: "discard", id: this.#id });
    await this.#ended.promise.catch(() => undefined);
  }

  abort(_reason?: unknown): void {
    this.#say({ kind: "abort", id: this.#id });
  }

  /** True with the last message of this answer. */
  hear(message: FromReceiver): boolean {
    if (message.kind === "head") {
      this.status = message.status;
      this.#headers = message.headers;
      this.#started.resolve(this);
      return false;
    }
    if (message.kind === "wrote") {
      this.#told(message.range, message.digest);
      return false;
    }
    if (message.kind === "end") this.#ended.resolve({ ending: message.ending });
    else if (message.kind === "broken") this.#break(toError(message.error));
    else this.#ended.reject(Object.assign(toError(message.error), { syscall: "write" }));
    return true;
  }

  /** The thread is gone, and writes nothing any more. */
  lose(error: Error): void {
    this.#started.reject(error);
    this.#ended.reject(error);
  }

  #break(broken: Error): void {
    this.#started.reject(broken);
    this.#ended.resolve({ broken });
  }
}

function toError({ message, ...own }: SentError): Error {
  return Object.assign(new Error(message), own);
}
