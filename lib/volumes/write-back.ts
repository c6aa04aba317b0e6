// What DeleteVolume does with a claim's changes, put together: packed, pushed, and taken up again where a call ended.
import type { ClaimRecord } from "../core/claim-record.ts";
import type { DeleteDeps } from "./delete-claim.ts";
import { type PackedClaim, packClaim } from "./pack-claim.ts";
import { type PushClaimDeps, pushClaim, resumePush } from "./push-claim.ts";

export type WriteBack = Pick<DeleteDeps<PackedClaim>, "pack" | "push" | "resume">;

export function openWriteBack(deps: PushClaimDeps): WriteBack {
  return {
    pack: async (record, told, below) => {
      try {
        return await packClaim(deps, { record, told, below });
      } catch (error) {
        await endTrim(deps, record);
        throw error;
      }
    },
    push: async (record, packed, told) => {
      try {
        return await pushClaim(deps, record, packed, told);
      } finally {
        await endTrim(deps, record);
      }
    },
    resume: (record, told) => resumePush(deps, record, told),
  };
}

/** Nothing of it is under way once the flight has ended. */
async function endTrim({ use }: PushClaimDeps, { commit }: ClaimRecord): Promise<void> {
  if (commit !== undefined) await use.untrimmed(commit.layer);
}
