// The journeys of NodePublishVolume and NodeUnpublishVolume for claims: a pod's own view of what is staged.
import type { ClaimRecord } from "../core/claim-record.ts";
import { publishClaim as published, unpublishClaim as unpublished } from "../core/claim-steps.ts";
import { Failure } from "../core/failure.ts";
import { parseGroup } from "../core/volume-group.ts";
import { checkCapabilities, isReader, refuseSecondTarget } from "./claim-capability.ts";
import type { ClaimDeps } from "./claim-deps.ts";
import { ensureGroup, type GroupDeps, type GroupWish, isForPods } from "./claim-group.ts";
import { mountClaim } from "./claim-mount.ts";
import type { Call, PublishRequest, UnpublishRequest } from "./requests.ts";
import { checkTarget, clearTarget, isMounted, leaveTarget, takePath } from "./target.ts";

/**
 * The claim is at the target when it resolves, read-only in the kernel where that was asked; safe to repeat. For pods of
 * another group than those before it is made over, with `pending` while that lasts, and `in-use` while they use it.
 */
export async function publishClaim(deps: GroupDeps, request: PublishRequest, call: Call): Promise<void> {
  const { volumeId, target, capability, stagingPath } = request;
  deps.claims.require(volumeId);
  checkCapabilities(volumeId, [capability]);
  const gid = parseGroup(capability.mountGroup);
  using _turn = deps.turns.take(volumeId);
  deps.unmounts.refuse(volumeId);
  const record = deps.claims.require(volumeId);
  using _path = takePath(deps.occupants, volumeId, target, "target");
  refuseSecondTarget(record, capability, target);
  const readOnly = request.readOnly || isReader(capability);
  const before = record.publications.find((publication) => publication.target === target);
  if (before !== undefined && before.readOnly !== readOnly) {
    const how = before.readOnly ? "read-only" : "to be written";
    throw new Failure(
      "conflict",
      `Cannot publish the volume "${volumeId}" at "${target}": it is there already, ${how}`,
    );
  }
  if (await isMounted(deps, target)) {
    if (before !== undefined) return;
    await clearTarget(deps, target);
  }
  if (stagingPath === undefined || record.stage?.path !== stagingPath) throw notStaged(request);
  if (record.stage.boot !== deps.files.bootId()) throw notStaged(request);
  await checkTarget(deps, target);
  if (gid !== undefined && !isForPods(deps, record, gid)) refuseOthers(record, target, gid);
  const ready = await ensureStaged(deps, record, stagingPath, { gid, call });
  await deps.claims.write(published(ready, { target, readOnly }));
  await deps.files.makeDirectory(target, { mode: 0o750 });
  await deps.mounts.bind({ source: stagingPath, target, flags: { ...deps.flags, readOnly } });
}

/** Mounted at its staging path, for pods of the group. */
async function ensureStaged(
  deps: GroupDeps,
  record: ClaimRecord,
  at: string,
  wish: GroupWish,
): Promise<ClaimRecord> {
  const ready = await ensureGroup(deps, record, wish);
  // Another group takes it away from there, and a stop may come before it is back.
  if (!(await isMounted(deps, at))) await mountClaim(deps, ready, at);
  return ready;
}

const notStaged = ({ volumeId, stagingPath = "" }: PublishRequest) =>
  new Failure(
    "in-use",
    `Cannot publish the volume "${volumeId}": it is not staged at "${stagingPath}"; stage it first`,
  );

/** Throws `in-use`: what pods have open cannot be given to others under their hands. */
function refuseOthers({ volumeId, publications, group }: ClaimRecord, target: string, gid: number): void {
  if (!publications.some((one) => one.target !== target)) return;
  const others = group === undefined ? "pods without a group" : `pods of the group ${group.gid}`;
  throw new Failure(
    "in-use",
    `Cannot publish the volume "${volumeId}" for the group ${gid}: ${others} use it; give all of them the same fsGroup, or wait until they have ended`,
  );
}

/** Neither mount nor directory is left at the target, nor is it in the Record. */
export async function unpublishClaim(deps: ClaimDeps, { volumeId, target }: UnpublishRequest): Promise<void> {
  using _turn = deps.turns.take(volumeId);
  await leaveTarget(deps, volumeId, target);
  const record = deps.claims.find(volumeId);
  if (record?.publications.some((publication) => publication.target === target) === true) {
    await deps.claims.write(unpublished(record, target));
  }
}
