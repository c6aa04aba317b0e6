// Whose a path is, by what is recorded: a call for one volume never touches what another has there.
import type { ClaimRecord } from "../core/claim-record.ts";
import { Failure } from "../core/failure.ts";
import type { InlineRecord } from "../core/record.ts";

/** What a path is to a volume: where a pod finds it, or where it is staged. */
export type PathUse = "target" | "stage";

export type Occupants = {
  /** The id of the volume that is recorded at the path: another than this one, or this one in its other use. */
  otherAt(volumeId: string, path: string, use: PathUse): string | undefined;
  /** The path is this volume's until it is disposed of, or a Record says so. Throws `busy` while it is another's so. */
  take(volumeId: string, path: string): Disposable;
};

type Kept = {
  readonly records: { readonly all: ReadonlyMap<string, InlineRecord> };
  readonly claims: { readonly all: ReadonlyMap<string, ClaimRecord> };
};

export function openOccupants({ records, claims }: Kept): Occupants {
  const taken = new Map<string, string>();
  return {
    take(volumeId, path) {
      const other = taken.get(path);
      if (other !== undefined) {
        const why = `another call mounts the volume "${other}" there; try again`;
        throw new Failure("busy", `Cannot mount the volume "${volumeId}" at "${path}": ${why}`);
      }
      taken.set(path, volumeId);
      return { [Symbol.dispose]: () => void taken.delete(path) };
    },
    otherAt(volumeId, path, use) {
      const isOther = (id: string, as: PathUse) => id !== volumeId || as !== use;
      for (const record of records.all.values())
        if (record.target === path && isOther(record.volumeId, "target")) return record.volumeId;
      for (const { volumeId: id, publications, stage } of claims.all.values()) {
        if (isOther(id, "target") && publications.some(({ target }) => target === path)) return id;
        if (isOther(id, "stage") && stage?.path === path) return id;
      }
      return undefined;
    },
  };
}
