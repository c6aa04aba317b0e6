// Threads that receive blobs: each writes what arrives from its own hands, hashed on the way where that is wanted.
import { HostThread } from "../host/host-thread.ts";
import { Fault, TRIES } from "./fault.ts";
import { Received } from "./received.ts";
import type { FromReceiver, ToReceiver } from "./receiver-messages.ts";
import type { Outgoing, Sender, TransportOptions } from "./transport.ts";

export type ReceiverOptions = {
  readonly threads: number;
  readonly timeouts?: TransportOptions;
  /** How long a thread that has nothing to do is kept. */
  readonly idleMs?: number;
};

const IDLE_MS = 5_000;

/** Each question goes to the thread that has the fewest. Threads are started when they are needed. */
export class Receivers implements Sender<Received> {
  readonly #options: ReceiverOptions;
  readonly #threads: Thread[] = [];
  #closed = false;

  constructor(options: ReceiverOptions) {
    this.#options = options;
  }

  /** How many threads there are now. */
  get running(): number {
    return this.#threads.length;
  }

  /** Has all threads started, beside whatever tells what they are to ask for. */
  warm(): void {
    while (!this.#closed && this.#threads.length < this.#options.threads) this.#start().rest();
  }

  async send(outgoing: Outgoing, signal: AbortSignal): Promise<Received> {
    signal.throwIfAborted();
    if (this.#closed) throw new Error("the threads that receive were closed");
    return await this.#take().send(outgoing, signal);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    await Promise.all(this.#threads.splice(0).map(async (thread) => await thread.end()));
  }

  #take(): Thread {
    const least = this.#threads.toSorted((a, b) => a.busy - b.busy)[0];
    if (least !== undefined && (least.busy === 0 || this.#threads.length >= this.#options.threads))
      return least;
    return this.#start();
  }

  #start(): Thread {
    const gone = (thread: Thread) => {
      const at = this.#threads.indexOf(thread);
      if (at >= 0) this.#threads.splice(at, 1);
    };
    const thread = new Thread(this.#options, gone);
    this.#threads.push(thread);
    return thread;
  }
}

class Thread {
  readonly #worker: HostThread<FromReceiver>;
  readonly #gone: (thread: Thread) => void;
  readonly #idleMs: number;
  readonly #answers = new Map<number, Received>();
  #last = 0;
  #idle: NodeJS.Timeout | undefined;

  /** `gone` is told when it must not be given anything any more. */
  constructor({ timeouts, idleMs }: ReceiverOptions, gone: (thread: Thread) => void) {
    this.#idleMs = idleMs ?? IDLE_MS;
    this.#gone = gone;
    const options = {
      workerData: timeouts ?? {},
      resourceLimits: { maxOldGenerationSizeMb: 64, maxYoungGenerationSizeMb: 4 },
    };
    this.#worker = new HostThread(new URL("./receive.worker.ts", import.meta.url), options, {
      onTold: (message) => this.#hear(message),
      onEnd: (cause) => this.#lose(cause),
    });
    // An idle thread is no reason for the process to stay.
    this.#worker.unref();
  }

  get busy(): number {
    return this.#answers.size;
  }

  async send({ url, ...rest }: Outgoing, signal: AbortSignal): Promise<Received> {
    const id = ++this.#last;
    const say = (message: ToReceiver) => {
      if (this.#answers.has(message.id)) this.#worker.say(message);
    };
    const received = new Received(id, say);
    clearTimeout(this.#idle);
    this.#worker.ref();
    this.#answers.set(id, received);
    say({ kind: "send", id, outgoing: { ...rest, url: url.href } });
    const abort = () => received.abort();
    signal.addEventListener("abort", abort, { once: true });
    void received.over.then(() => signal.removeEventListener("abort", abort));
    return await received.started;
  }

  /** Ends after a while in which it is given nothing. */
  rest(): void {
    this.#worker.unref();
    this.#idle = setTimeout(() => {
      this.#gone(this);
      void this.end();
    }, this.#idleMs).unref();
  }

  async end(): Promise<void> {
    clearTimeout(this.#idle);
    await this.#worker.terminate();
  }

  #hear(message: FromReceiver): void {
    if (this.#answers.get(message.id)?.hear(message) !== true) return;
    this.#answers.delete(message.id);
    if (this.#answers.size === 0) this.rest();
  }

  #lose(cause: unknown): void {
    clearTimeout(this.#idle);
    this.#gone(this);
    const facts = { tries: TRIES.trouble, cause };
    const fault = new Fault("unavailable", "the thread that received it ended", facts);
    for (const received of this.#answers.values()) received.lose(fault);
    this.#answers.clear();
  }
}
