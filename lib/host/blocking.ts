// System calls that may wait for a disk, each in a thread where its waiting holds up nobody else.
import { Failure } from "../core/failure.ts";
import { threadFailure } from "./errno.ts";
import { HostThread } from "./host-thread.ts";
import type { OverlayRequest } from "./mounts.ts";

export type BlockingCall =
  | { readonly kind: "unmount"; readonly target: string }
  | { readonly kind: "syncfs"; readonly path: string }
  | (OverlayRequest & { readonly kind: "overlay" });

/** What the thread answers; an error's own fields do not survive being sent as an Error. */
export type BlockingAnswer = {
  readonly error?: { readonly message: string; readonly code?: string | undefined; readonly detail?: string };
};

/**
 * Runs calls as if alone. Rejects with the system call's error (`code`; `detail` is what the kernel said in words), or
 * with the Failure `unavailable` where its thread could not start or ended.
 */
export interface Blocking {
  run(call: BlockingCall): Promise<void>;
}

const closed: BlockingAnswer = { error: { message: "the threads for system calls were closed" } };

type Waiting = { readonly call: BlockingCall; readonly settle: (answer: BlockingAnswer | Failure) => void };
type Thread = {
  readonly worker: HostThread<BlockingAnswer>;
  state: "starting" | "idle" | "prompt" | "slow";
  job?: Waiting | undefined;
};

/**
 * One thread does for calls that take their usual fraction of a millisecond. When all threads have been at a call
 * for longer than `patienceMs`, another is started, so that a hung call costs the next one no more than that.
 */
export class BlockingThreads implements Blocking, AsyncDisposable {
  readonly #threads = new Set<Thread>();
  readonly #waiting: Waiting[] = [];
  readonly #patienceMs: number;
  #stuck = 0;

  constructor(options: { readonly patienceMs: number }) {
    this.#patienceMs = options.patienceMs;
  }

  run(call: BlockingCall): Promise<void> {
    return new Promise((resolve, reject) => {
      const settle: Waiting["settle"] = (answer) => {
        if (answer instanceof Failure) return reject(answer);
        const { error } = answer;
        if (error === undefined) resolve();
        else reject(Object.assign(new Error(error.message), { code: error.code, detail: error.detail }));
      };
      this.#waiting.push({ call, settle });
      this.#dispatch();
    });
  }

  /** How many threads there are, for tests and the metrics. */
  get threads(): number {
    return this.#threads.size;
  }

  /** Threads that were ended in the middle of a call and are still in it: `process.exit` would wait for them, SIGKILL does not. */
  get stuck(): number {
    return this.#stuck;
  }

  /** Ends the threads that are idle; one that hangs in the kernel ends when its call does, and nobody waits for it. */
  async [Symbol.asyncDispose](): Promise<void> {
    for (const { settle } of this.#waiting.splice(0)) settle(closed);
    await Promise.all(
      [...this.#threads].filter(({ job }) => job === undefined).map((thread) => this.#end(thread)),
    );
    for (const thread of this.#threads) void this.#end(thread);
  }

  #dispatch(): void {
    for (const thread of this.#threads) if (thread.state === "idle") this.#give(thread);
    const threads = [...this.#threads];
    if (this.#waiting.length > 0 && threads.every(({ state }) => state === "slow")) this.#start();
  }

  #give(thread: Thread): void {
    const job = this.#waiting.shift();
    if (job === undefined) return;
    thread.job = job;
    thread.state = "prompt";
    thread.worker.ref();
    thread.worker.say(job.call);
    const patience = setTimeout(() => {
      if (thread.job !== job) return;
      thread.state = "slow";
      this.#dispatch();
    }, this.#patienceMs);
    patience.unref();
  }

  #start(): void {
    const options = {
      execArgv: [],
      // The calls open descriptors that Node does not know of.
      trackUnmanagedFds: false,
      resourceLimits: { maxOldGenerationSizeMb: 32, maxYoungGenerationSizeMb: 4 },
    };
    const worker = new HostThread<BlockingAnswer>(new URL("./blocking.worker.ts", import.meta.url), options, {
      // Its first message only says that it is ready.
      onTold: (answer) => this.#finish(thread, answer),
      onEnd: (cause) => this.#lose(thread, cause),
    });
    const thread: Thread = { worker, state: "starting" };
    this.#threads.add(thread);
  }

  #finish(thread: Thread, answer: BlockingAnswer): void {
    const { job } = thread;
    thread.job = undefined;
    job?.settle(answer);
    this.#rest(thread);
  }

  #rest(thread: Thread): void {
    thread.state = "idle";
    this.#dispatch();
    if (thread.job !== undefined) return;
    thread.worker.unref();
    const idle = [...this.#threads].filter(({ state }) => state === "idle");
    if (idle.length > 1) void this.#end(thread);
  }

  #lose(thread: Thread, cause?: unknown): void {
    if (!this.#threads.delete(thread)) return;
    const failure = threadFailure(cause, "Cannot make a system call");
    thread.job?.settle(failure);
    // One that cannot even start would fail again and again: those who wait are told.
    if (thread.state === "starting") for (const { settle } of this.#waiting.splice(0)) settle(failure);
    else this.#dispatch();
  }

  async #end(thread: Thread): Promise<void> {
    const busy = thread.job === undefined ? 0 : 1;
    this.#threads.delete(thread);
    thread.job?.settle(closed);
    thread.worker.unref();
    this.#stuck += busy;
    await thread.worker.terminate();
    this.#stuck -= busy;
  }
}
