// Tells one who waits for a pull that bytes arrive: from then on he may make ready what needs the Tree's name alone.
import type { Progress } from "./pull-progress.ts";
import type { ArrivingTree, Waiter } from "./tree-request.ts";

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
