// Unpacks layers in worker threads while their bytes are still arriving.
import type { Digest } from "../core/digest.ts";
import { Failure } from "../core/failure.ts";
import type { Compression } from "../core/layer-plan.ts";
import type { FeedProgress } from "./feed-progress.ts";
import type { FeedMessage, ToWorker } from "./worker-messages.ts";
import { WorkerThread } from "./worker-threads.ts";

/** A blob that is being written to a file, to be followed from its start. */
export type Feed = {
  readonly path: string;
  readonly size: number;
  readonly digest: Digest;
  readonly progress: FeedProgress;
};

export type UnpackJob = {
  readonly feed: Feed;
  readonly compression: Compression;
  /** The digest of the uncompressed archive, where it is known. */
  readonly diffId?: Digest;
  /** An existing empty directory. */
  readonly directory: string;
  /** `image`: whiteouts mean something. `archive`: they are names like others, and special files are refused. */
  readonly kind: "image" | "archive";
  /** For an `archive`: every entry must lie under it; "" for anywhere. */
  readonly root: string;
  readonly keepSetuid: boolean;
};

/** What a layer needs from those beneath it. Names are latin1 text, one character a byte, so that any bytes survive JSON. */
export type Unsettled = {
  /** Directories that have no entry of their own; "" is the layer's root. */
  readonly implied: readonly string[];
  /** Hardlinks to files that are not in this layer. */
  readonly links: ReadonlyArray<{ readonly path: string; readonly target: string }>;
  readonly whiteouts: readonly string[];
  /** Directories that hide what is beneath them. */
  readonly opaques: readonly string[];
};

export type Unpacked = {
  /** On disk, as near as can be told without asking the file system: whole blocks, and a share for each inode. */
  readonly bytes: number;
  readonly inodes: number;
  readonly unsettled: Unsettled;
};

export type UnpackOptions = {
  readonly signal: AbortSignal;
  /** Asked before more than was granted is written; what it throws ends the job. */
  readonly room: (bytes: number) => Promise<void>;
};

export interface Unpacker extends AsyncDisposable {
  /**
   * Unpacks as the bytes arrive; resolves only after the blob's digest, and `diffId`, held.
   * Failures: corrupt, invalid, unsupported, full, unavailable; the signal's reason when it is aborted.
   * After any of them the content of the directory is the caller's to remove.
   */
  unpack(job: UnpackJob, options: UnpackOptions): Promise<Unpacked>;
  /** The digest alone, for files that stay as they are. Failures: corrupt, unavailable; the signal's reason. */
  verify(feed: Feed, signal: AbortSignal): Promise<void>;
}

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
