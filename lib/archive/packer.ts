// Packs in worker threads, so that nobody waits for the reading, hashing and compressing of others.
import { Worker } from "node:worker_threads";
import { Failure, type Reason } from "../core/failure.ts";
import type { DeltaJob, Packed, PackedDelta } from "./pack-delta.ts";
import type { MergedJob } from "./pack-merged.ts";

export interface Packer extends AsyncDisposable {
  /**
   * As packDelta(). Failures: full, unavailable, unsupported, conflict; the signal's reason when it is aborted. After
   * any of them nothing writes to the job's directory any more, and what is in it is the caller's to remove.
   */
  packDelta(job: DeltaJob, signal: AbortSignal): Promise<PackedDelta>;
  /** As packMerged(), with the same Failures. */
  packMerged(job: MergedJob, signal: AbortSignal): Promise<Packed>;
}

/** What a packing thread is given, and what it answers. */
export type PackTask =
  | { readonly kind: "delta"; readonly job: DeltaJob }
  | { readonly kind: "merged"; readonly job: MergedJob };
export type PackAnswer =
  | { readonly kind: "done"; readonly packed: Packed }
  | { readonly kind: "failed"; readonly reason: Reason; readonly message: string }
  | { readonly kind: "broken"; readonly stack: string };

/** Names of one directory, and files with several names, are held in memory: beyond this a tree is hostile. */
const HEAP_MB = 768;

/** `threads` is how many pack at once; others wait for their turn. A thread lives as long as what it packs. */
export function openPacker(options: { readonly threads: number }): Packer {
  return new ThreadedPacker(options.threads);
}

class ThreadedPacker implements Packer {
  readonly #most: number;
  readonly #running = new Set<Worker>();
  readonly #waiting: Array<() => void> = [];
  #taken = 0;

  constructor(most: number) {
    this.#most = most;
  }

  async packDelta(job: DeltaJob, signal: AbortSignal): Promise<PackedDelta> {
    return (await this.#run({ kind: "delta", job }, signal)) as PackedDelta;
  }

  async packMerged(job: MergedJob, signal: AbortSignal): Promise<Packed> {
    return await this.#run({ kind: "merged", job }, signal);
  }

  /** What runs or waits ends as unavailable. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#taken = Number.NEGATIVE_INFINITY;
    for (const go of this.#waiting.splice(0)) go();
    await Promise.all([...this.#running].map((worker) => worker.terminate()));
  }

  async #run(task: PackTask, signal: AbortSignal): Promise<Packed> {
    await this.#turn(signal);
    try {
      signal.throwIfAborted();
      if (this.#taken < 0) throw ended();
      return await this.#pack(task, signal);
    } finally {
      this.#taken--;
      this.#waiting.shift()?.();
    }
  }

  async #turn(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    if (++this.#taken <= this.#most) return;
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#waiting.push(resolve);
    const leave = () => {
      const at = this.#waiting.indexOf(resolve);
      // Otherwise it is its turn already, which it gives back itself.
      if (at < 0) return;
      this.#waiting.splice(at, 1);
      this.#taken--;
      reject(signal.reason);
    };
    signal.addEventListener("abort", leave);
    await promise.finally(() => signal.removeEventListener("abort", leave));
  }

  async #pack(task: PackTask, signal: AbortSignal): Promise<Packed> {
    const worker = new Worker(new URL("./pack.worker.ts", import.meta.url), {
      workerData: task,
      resourceLimits: { maxOldGenerationSizeMb: HEAP_MB },
    });
    this.#running.add(worker);
    // Whatever the thread is in the middle of; its descriptors are closed with it.
    const stop = () => void worker.terminate();
    signal.addEventListener("abort", stop);
    try {
      const answer = await answerOf(worker);
      signal.throwIfAborted();
      if (answer.kind === "done") return answer.packed;
      if (answer.kind === "failed") throw new Failure(answer.reason, answer.message);
      throw new Error(`a packing thread failed: ${answer.stack}`);
    } catch (error) {
      throw signal.aborted ? signal.reason : error;
    } finally {
      signal.removeEventListener("abort", stop);
      this.#running.delete(worker);
    }
  }
}

/** Once the thread has ended. */
async function answerOf(worker: Worker): Promise<PackAnswer> {
  const { promise, resolve, reject } = Promise.withResolvers<PackAnswer>();
  let answer: PackAnswer | undefined;
  let cause: unknown;
  worker.on("message", (message: PackAnswer) => {
    answer = message;
  });
  worker.on("error", (error) => {
    cause = error;
  });
  worker.on("exit", () => {
    if (answer === undefined) reject(ended(cause));
    else resolve(answer);
  });
  return await promise;
}

function ended(cause?: unknown): Failure {
  if ((cause as NodeJS.ErrnoException | undefined)?.code === "ERR_WORKER_OUT_OF_MEMORY")
    return new Failure(
      "unsupported",
      "Cannot pack the volume: it needs more memory than packing may have; put fewer files into one directory",
      { cause },
    );
  return new Failure(
    "unavailable",
    "Cannot pack the volume: the thread that packed it ended; it is tried again with the next attempt",
    { cause },
  );
}
