// The journey of NodeUnstageVolume: a claim is unmounted, in order, so that what pods wrote is whole.
import { unstageClaim as unstaged } from "../core/claim-steps.ts";
import { waitFor } from "./patience.ts";
import type { Call, UnstageRequest } from "./requests.ts";
import type { StageDeps } from "./stage-claim.ts";
import { isMounted } from "./target.ts";

/**
 * Not mounted at the path when it resolves, and no unmount is still syncing; an unknown volume is fine. `in-use` while
 * busy; `pending` while it syncs, and the next call joins.
 */
export async function unstageClaim(
  deps: StageDeps,
  { volumeId, path }: UnstageRequest,
  call: Call,
): Promise<void> {
  using _turn = deps.turns.take(volumeId);
  const words = () => `Unmounting the volume "${volumeId}": what its pods wrote is being synced`;
  while (deps.unmounts.ended(volumeId) !== undefined || (await isMounted(deps, path)))
    await waitFor(deps.clock, call, words, () => deps.unmounts.join(volumeId, path));
  const record = deps.claims.find(volumeId);
  if (record?.stage?.path === path) await deps.claims.write(unstaged(record, deps.files.bootId()));
}
