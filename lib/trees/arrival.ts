// Tells one who waits for a pull that bytes arrive: from then on he may make ready what needs the Tree's name alone.
import type { Digest } from "../core/digest.ts";
import type { PullProgress } from "../core/progress.ts";
import type { Progress } from "./pull-progress.ts";

/** A Tree that is on its way. */
export type ArrivingTree = {
  readonly key: Digest;
  /** What the Reference meant. */
  readonly digest: Digest;
};

type Waiter = {
  readonly signal: AbortSignal;
  readonly onProgress?: (progress: PullProgress) => void;
  readonly onArriving?: (tree: ArrivingTree) => void;
};

/** Tells the waiter what it is told, and of the first bytes which Tree they are of; not who went away. */
export function telling(
  { signal, onProgress, onArriving }: Waiter,
  artifact: string,
  tree: ArrivingTree,
): (progress: Progress) => void {
  let isTold = false;
  return (progress) => {
    onProgress?.({ artifact, ...progress });
    if (isTold || progress.doneBytes === 0 || signal.aborted) return;
    isTold = true;
    onArriving?.(tree);
  };
}
