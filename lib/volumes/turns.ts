// One operation per Volume at a time: a second is refused, never queued.
import { Failure } from "../core/failure.ts";

export type Turns = {
  /** Held until disposed. Throws `busy` while somebody else has it. */
  take(volumeId: string): Disposable;
};

export function openTurns(): Turns {
  const taken = new Set<string>();
  return {
    take(volumeId) {
      if (taken.has(volumeId)) {
        throw new Failure(
          "busy",
          `Cannot begin with volume "${volumeId}": another call for it is still running; try again`,
        );
      }
      taken.add(volumeId);
      return { [Symbol.dispose]: () => void taken.delete(volumeId) };
    },
  };
}
