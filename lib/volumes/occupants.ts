// Whose a target is, by what is recorded: a call for one volume never touches what another has there.
import type { ClaimRecord } from "../core/claim-record.ts";
import type { InlineRecord } from "../core/record.ts";

export type Occupants = {
  /** The id of another volume than this one that is recorded at the target. */
  otherAt(volumeId: string, target: string): string | undefined;
};

type Kept = {
  readonly records: { readonly all: ReadonlyMap<string, InlineRecord> };
  readonly claims: { readonly all: ReadonlyMap<string, ClaimRecord> };
};

export function openOccupants({ records, claims }: Kept): Occupants {
  return {
    otherAt(volumeId, target) {
      for (const record of records.all.values())
        if (record.target === target && record.volumeId !== volumeId) return record.volumeId;
      for (const claim of claims.all.values())
        if (claim.volumeId !== volumeId && claim.publications.some((one) => one.target === target))
          return claim.volumeId;
      return undefined;
    },
  };
}
