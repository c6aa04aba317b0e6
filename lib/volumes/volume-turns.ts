// One operation per Volume at a time: a second is refused, never queued.
import { Failure } from "../core/failure.ts";

export type VolumeTurns = {
  /** Held until disposed. Throws `busy` while somebody else has it. */
  take(volumeId: string): Disposable;
  /** Resolves when the turn that is taken, or else the next one, is over. */
  ended(volumeId: string): Promise<void>;
};

export function openVolumeTurns(): VolumeTurns {
  const taken = new Set<string>();
  const awaited = new Map<string, PromiseWithResolvers<void>>();
  const leave = (volumeId: string) => {
    taken.delete(volumeId);
    awaited.get(volumeId)?.resolve();
    awaited.delete(volumeId);
  };
  return {
    take(volumeId) {
      if (taken.has(volumeId)) {
        throw new Failure(
          "busy",
          `Cannot begin with volume "${volumeId}": another call for it is still running; try again`,
        );
      }
      taken.add(volumeId);
      let isOver = false;
      return {
        [Symbol.dispose]: () => {
          if (!isOver) leave(volumeId);
          isOver = true;
        },
      };
    },
    async ended(volumeId) {
      const end = awaited.get(volumeId) ?? Promise.withResolvers<void>();
      awaited.set(volumeId, end);
      await end.promise;
    },
  };
}
