// Removes trees in threads of their own: a disk may take a millisecond for each file, and nobody else waits for it.
import { threadFailure } from "./errno.ts";
import { JobThreads } from "./job-threads.ts";

export interface Remover extends AsyncDisposable {
  /** As removeTree(). Failures: in-use, unavailable. Disposed in the middle of it, what is left is for the next start. */
  readonly removeTree: (parent: string, name: string) => Promise<void>;
}

export type Removal = { readonly parent: string; readonly name: string };

/** One for what is small while another is at something large. */
const THREADS = 2;
const IDLE_MS = 5_000;
/** For the names of one directory. */
const HEAP_MB = 768;

export function openRemover(): Remover {
  const threads = new JobThreads<Removal, void>({
    script: new URL("./removal.worker.ts", import.meta.url),
    threads: THREADS,
    heapMb: HEAP_MB,
    idleMs: IDLE_MS,
    ended: (cause) => threadFailure(cause, "Cannot empty the trash"),
  });
  let isClosed = false;
  return {
    removeTree: async (parent, name) => {
      try {
        await threads.run({ parent, name });
      } catch (error) {
        if (!isClosed) throw error;
      }
    },
    [Symbol.asyncDispose]: async () => {
      isClosed = true;
      await threads[Symbol.asyncDispose]();
    },
  };
}
