// What DeleteVolume does with a claim's changes, put together: packed, pushed, and taken up again where a call ended.
import type { DeleteDeps } from "./delete-claim.ts";
import { type PackedClaim, packClaim } from "./pack-claim.ts";
import { type PushClaimDeps, pushClaim, resumePush } from "./push-claim.ts";

export type WriteBack = Pick<DeleteDeps<PackedClaim>, "pack" | "push" | "resume">;

export function openWriteBack(deps: PushClaimDeps): WriteBack {
  return {
    pack: (record, told, below) => packClaim(deps, { record, told, below }),
    push: (record, packed, told) => pushClaim(deps, record, packed, told),
    resume: (record, told) => resumePush(deps, record, told),
  };
}
