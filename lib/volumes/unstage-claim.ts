// The journey of NodeUnstageVolume: a claim is unmounted, in order, so that what pods wrote is whole.
import { unstageClaim as unstaged } from "../core/claim-steps.ts";
import { refuseInUse } from "./claim-mount.ts";
import { waitFor } from "./patience.ts";
import type { Call, UnstageRequest } from "./requests.ts";
import type { StageDeps } from "./stage-claim.ts";
import { clearTarget, isOthers } from "./target.ts";

/**
 * Not mounted at the path when it resolves, and what pods wrote is synced, unless it is volatile; an unknown volume is
 * fine, and what another has there stays. `in-use` while busy, or while pods have it: what they still write would be in
 * nothing that is committed. `pending` while it syncs, and the next call joins.
 */
export async function unstageClaim(deps: StageDeps, request: UnstageRequest, call: Call): Promise<void> {
  const { volumeId, path } = request;
  using _turn = deps.turns.take(volumeId);
  const words = () => `Unmounting the volume "${volumeId}": what its pods wrote is being synced`;
  const record = deps.claims.find(volumeId);
  if (isOthers(deps, volumeId, path, "stage")) return;
  if (record !== undefined) await refuseInUse(deps, record, "unstage");
  await waitFor(deps.clock, call, words, () =>
    deps.unmounts.join(volumeId, async () => await unmount(deps, request)),
  );
  if (record?.stage?.path === path) await deps.claims.write(unstaged(record, deps.files.bootId()));
}

async function unmount(deps: StageDeps, { volumeId, path }: UnstageRequest): Promise<void> {
  const { files, root, claims } = deps;
  await clearTarget(deps, path, { keepDirectory: true });
  const record = claims.find(volumeId);
  if (record?.stage?.path !== path || record.stage.boot !== files.bootId()) return;
  const { layout, durability } = record.settings;
  // An overlay is synced by its unmount; a copy is no file system of its own, and may never have come to be.
  if (layout === "copy" && durability === "normal") await files.syncFilesystem(root);
}
