// The unpacker over worker threads: which of them has what job, and what becomes of it.
import { Failure } from "../core/failure.ts";
import type { Feed, Unpacked, Unpacker, UnpackJob, UnpackOptions } from "./unpacker.ts";
import type { FeedMessage, ToWorker } from "./worker-messages.ts";
import { WorkerThread } from "./worker-threads.ts";

/** How long a thread that has nothing to do is kept. */
const IDLE_MS = 5_000;

/** `threads` is how many work at once; a layer that waits for its bytes does not keep others from unpacking. */
export function openUnpacker(options: { readonly threads: number; readonly idleMs?: number }): Unpacker {
  return new ThreadedUnpacker(options.threads, options.idleMs ?? IDLE_MS);
}

class ThreadedUnpacker implements Unpacker {
  readonly #most: number;
  readonly #idleMs: number;
  readonly #threads = new Set<WorkerThread>();
  readonly #idle = new Map<WorkerThread, NodeJS.Timeout>();
  #last = 0;

  constructor(most: number, idleMs: number) {
    this.#most = most;
    this.#idleMs = idleMs;
  }

  async unpack(job: UnpackJob, { signal, room }: UnpackOptions): Promise<Unpacked> {
    const { feed, ...rest } = job;
    const message = { kind: "unpack", id: ++this.#last, feed: toMessage(feed), job: rest } as const;
    const unpacked = await this.#run(message, { signal, room });
    if (unpacked === undefined) throw new Error("an unpacking thread answered nothing");
    return unpacked;
  }

  async verify(feed: Feed, signal: AbortSignal): Promise<void> {
    const message = { kind: "verify", id: ++this.#last, feed: toMessage(feed) } as const;
    await this.#run(message, { signal, room: async () => {} });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const timer of this.#idle.values()) clearTimeout(timer);
    this.#idle.clear();
    const ending = [...this.#threads];
    this.#threads.clear();
    await Promise.all(ending.map((thread) => thread.end()));
  }

  async #run(
    message: ToWorker & { readonly kind: "unpack" | "verify" },
    { signal, room }: UnpackOptions,
  ): Promise<Unpacked | undefined> {
    signal.throwIfAborted();
    const { promise, resolve } = Promise.withResolvers<Unpacked | Error | undefined>();
    const thread = this.#take();
    const cancel = () => thread.cancel(message.id);
    signal.addEventListener("abort", cancel);
    try {
      let refusal: Error | undefined;
      const keep = (error: Error) => {
        refusal ??= error;
        throw error;
      };
      thread.start(message, { room: (bytes) => room(bytes).catch(keep), settle: resolve });
      const outcome = await promise;
      signal.throwIfAborted();
      if (refusal !== undefined) throw refusal;
      if (outcome instanceof Failure) throw named(message, outcome);
      if (outcome instanceof Error) throw outcome;
      return outcome;
    } finally {
      signal.removeEventListener("abort", cancel);
      this.#release(thread);
    }
  }

  /** The one with the fewest jobs, or a fresh one while there may be more. */
  #take(): WorkerThread {
    const least = [...this.#threads].reduce<WorkerThread | undefined>(
      (best, thread) => (best === undefined || thread.jobs < best.jobs ? thread : best),
      undefined,
    );
    const thread =
      least === undefined || (least.jobs > 0 && this.#threads.size < this.#most) ? this.#open() : least;
    clearTimeout(this.#idle.get(thread));
    this.#idle.delete(thread);
    return thread;
  }

  #open(): WorkerThread {
    const thread = new WorkerThread((gone) => {
      this.#threads.delete(gone);
      clearTimeout(this.#idle.get(gone));
      this.#idle.delete(gone);
    });
    this.#threads.add(thread);
    return thread;
  }

  #release(thread: WorkerThread): void {
    if (thread.jobs > 0 || !this.#threads.has(thread)) return;
    const timer = setTimeout(() => {
      // At once: what is ending must not be given another job.
      this.#threads.delete(thread);
      this.#idle.delete(thread);
      void thread.end();
    }, this.#idleMs);
    timer.unref();
    this.#idle.set(thread, timer);
  }
}

function toMessage({ progress, ...feed }: Feed): FeedMessage {
  return { ...feed, shared: progress.shared };
}

function named({ kind, feed }: ToWorker & { readonly kind: "unpack" | "verify" }, failure: Failure): Failure {
  const what = kind === "unpack" ? "unpack the layer" : "use the file";
  return new Failure(failure.reason, `Cannot ${what} ${feed.digest}: ${failure.message}`, { cause: failure });
}
