// Packs in worker threads, so that nobody waits for the reading, hashing and compressing of others.
import { Failure } from "../core/failure.ts";
import { JobThreads } from "../host/job-threads.ts";
import type { DeltaJob, Packed, PackedDelta } from "./pack-delta.ts";
import type { MergedJob } from "./pack-merged.ts";
import type { PackProgress } from "./pack-progress.ts";

export type PackWatch = {
  readonly signal: AbortSignal;
  readonly onProgress?: (progress: PackProgress) => void;
};

export interface Packer extends AsyncDisposable {
  /**
   * As packDelta(). Failures: full, unavailable, unsupported, conflict; the signal's reason when it is aborted. After
   * any of them nothing writes to the job's directory any more, and what is in it is the caller's to remove.
   */
  packDelta(job: DeltaJob, watch: PackWatch): Promise<PackedDelta>;
  /** As packMerged(), with the same Failures. */
  packMerged(job: MergedJob, watch: PackWatch): Promise<Packed>;
}

/** What a packing thread is given. */
export type PackTask =
  | { readonly kind: "delta"; readonly job: DeltaJob }
  | { readonly kind: "merged"; readonly job: MergedJob };

/** Names of one directory, and files with several names, are held in memory: beyond this a tree is hostile. */
const HEAP_MB = 768;
/** The next finds its code compiled, which is a quarter of what a small change costs. */
const IDLE_MS = 60_000;
/** Of a larger tree a thread holds too much to wait with it. */
const MOST_KEPT_ENTRIES = 20_000;

/** `threads` is how many pack at once; others wait for their turn. A thread stays a while after what is small. */
export function openPacker(options: { readonly threads: number }): Packer {
  const threads = new JobThreads<PackTask, Packed, PackProgress>({
    script: new URL("./pack.worker.ts", import.meta.url),
    threads: options.threads,
    heapMb: HEAP_MB,
    idleMs: IDLE_MS,
    mayStay: ({ entries, ...packed }: Packed | PackedDelta) =>
      entries + ("unchanged" in packed ? packed.unchanged : 0) <= MOST_KEPT_ENTRIES,
    ended,
  });
  return {
    packDelta: async (job, watch) => (await threads.run({ kind: "delta", job }, watch)) as PackedDelta,
    packMerged: async (job, watch) => await threads.run({ kind: "merged", job }, watch),
    [Symbol.asyncDispose]: async () => await threads[Symbol.asyncDispose](),
  };
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
