// The journey of ControllerModifyVolume: what may be said of a claim later, the end of its pods among it.
import { modifyClaim as modified } from "../core/claim-steps.ts";
import { parseModification } from "../settings/claim.ts";
import type { ClaimDeps } from "./claim-deps.ts";
import type { ModifyClaimRequest } from "./requests.ts";

/** All of it is so, durably, or nothing was changed. Failures: invalid, not-found. */
export async function modifyClaim(deps: ClaimDeps, { volumeId, mutable }: ModifyClaimRequest): Promise<void> {
  const change = parseModification(mutable);
  using _turn = deps.turns.take(volumeId);
  await deps.claims.write(modified(deps.claims.require(volumeId), change));
}
