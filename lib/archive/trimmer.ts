// Trims committed Layers in threads of their own: a disk may take a millisecond for each file that goes.
import { Failure } from "../core/failure.ts";
import { JobThreads } from "../host/job-threads.ts";

export type TrimJob = {
  readonly layer: string;
  readonly journal: string;
  /** An earlier trimming of it may have come to anything. */
  readonly isBegun: boolean;
};

export interface Trimmer extends AsyncDisposable {
  /**
   * As trimLayer(). Once `haste` is aborted only what changes what the Layer shows is still done. Failures: full,
   * unavailable; the reason of `signal` when it is aborted, and the Layer is then as a crash would have left it.
   */
  trim(job: TrimJob, when: { readonly signal: AbortSignal; readonly haste: AbortSignal }): Promise<boolean>;
}

/** A job as it crosses to another thread; `haste` is a flag that both see. */
export type TrimTask = TrimJob & { readonly haste: SharedArrayBuffer };

/** One for what is small while another is at something large. */
const THREADS = 2;
const IDLE_MS = 5_000;
/** For the names of one directory. */
const HEAP_MB = 768;

export function openTrimmer(): Trimmer {
  const threads = new JobThreads<TrimTask, boolean>({
    script: new URL("./trim.worker.ts", import.meta.url),
    threads: THREADS,
    heapMb: HEAP_MB,
    idleMs: IDLE_MS,
    ended,
  });
  return {
    trim: async (job, { signal, haste }) => {
      const flag = new SharedArrayBuffer(4);
      const raise = () => void Atomics.store(new Int32Array(flag), 0, 1);
      if (haste.aborted) raise();
      haste.addEventListener("abort", raise);
      try {
        return await threads.run({ ...job, haste: flag }, { signal });
      } finally {
        haste.removeEventListener("abort", raise);
      }
    },
    [Symbol.asyncDispose]: async () => await threads[Symbol.asyncDispose](),
  };
}

export function isRaised(flag: SharedArrayBuffer): boolean {
  return Atomics.load(new Int32Array(flag), 0) === 1;
}

const ended = (cause?: unknown) =>
  new Failure(
    "unavailable",
    "Cannot trim a layer: the thread that did it ended; it is gone on with at the next attempt",
    { cause },
  );
