// The journey of NodeStageVolume: a claim is mounted on its base, which the first success fixes for good.
import type { ClaimRecord } from "../core/claim-record.ts";
import { isThrownAway, seekBase, stageClaim as staged } from "../core/claim-steps.ts";
import type { Digest } from "../core/digest.ts";
import { Failure, isFailure } from "../core/failure.ts";
import { parseGroup } from "../core/volume-group.ts";
import { checkCapabilities } from "./claim-capability.ts";
import { ensureDisk, placesOf } from "./claim-disk.ts";
import { ensureGroup, type GroupDeps } from "./claim-group.ts";
import { mountClaim, refuseOtherPath } from "./claim-mount.ts";
import { type BaseFound, findBase } from "./find-base.ts";
import { fitting } from "./fitting.ts";
import { type FindDeps, waitForTree } from "./lease-base.ts";
import type { Call, StageRequest } from "./requests.ts";
import { checkTarget, clearTarget, isMounted } from "./target.ts";

export type StageDeps = FindDeps &
  GroupDeps & {
    /** Makes what pods will write to, once: the root of an overlay's upper, or under `copy` all of the base. */
    readonly fill: (record: ClaimRecord, below: readonly string[]) => Promise<void>;
  };

/**
 * The claim is mounted at the path when it resolves; repeating it is safe, and leaves to the publish of a pod whether a
 * claim that is mounted is for its group. `pending` while its base is pulled, or made over for a group. Failures: not-found, conflict, busy, full; those of a base it must have.
 */
export async function stageClaim(deps: StageDeps, request: StageRequest, call: Call): Promise<void> {
  const { volumeId, path, capability } = request;
  deps.claims.require(volumeId);
  checkCapabilities(volumeId, [capability]);
  const gid = parseGroup(capability.mountGroup);
  using _turn = deps.turns.take(volumeId);
  deps.unmounts.refuse(volumeId);
  const record = seekBase(deps.claims.require(volumeId), deps.clock.now());
  const boot = deps.files.bootId();
  if (record.stage?.boot === boot) refuseOtherPath(record, path);
  if (await isMounted(deps, path)) {
    if (record.stage?.boot === boot && record.stage.path === path) return;
    await clearTarget(deps, path, { keepDirectory: true });
  }
  await checkTarget(deps, path);
  await deps.claims.write(record);
  const found = await baseOf(deps, { record, secrets: request.secrets, call });
  using tree = found.tree;
  const below = tree?.layers ?? deps.trees.contents(found.base.layers) ?? [];
  const fixed = staged(record, found.base, { path, boot });
  await deps.claims.write(fixed);
  if (found.base.note !== undefined && record.base === undefined)
    deps.log.warn(found.base.note, { volume: volumeId });
  if (isThrownAway(fixed)) await beginAnew(deps, fixed);
  await ensureDisk(deps, record);
  const { bytes, settings } = record;
  const copied = {
    volumeId,
    bytes,
    layout: settings.layout,
    baseBytes: deps.layers.bytesOf(found.base.layers),
  };
  await fitting(deps, copied, () => deps.fill(record, below));
  const grouped = await ensureGroup(deps, deps.claims.require(volumeId), { gid, call });
  await deps.files.makeDirectory(path, { mode: 0o750 });
  await mountClaim(deps, grouped, path);
}

/** The node went down under it: of what was never synced nobody can tell what is left. */
async function beginAnew({ discard, root, log }: StageDeps, record: ClaimRecord): Promise<void> {
  const { volumeId } = record;
  log.warn("A volatile claim was mounted when its node went down: it begins anew", { volume: volumeId });
  await discard(placesOf(root, record).upper);
}

type Search = Parameters<typeof findBase>[1];

/** The base that is fixed, here or brought back; or else the one that is found. */
async function baseOf(deps: StageDeps, search: Search): Promise<BaseFound> {
  const { base } = search.record;
  if (base === undefined) return await findBase(deps, search);
  if (base.layers.length === 0 || deps.trees.contents(base.layers) !== undefined) return { base };
  return { base, tree: await bringBack(deps, search, base.layers) };
}

/** Layers that a power loss took are pulled again; an upper is never mounted over anything else. */
async function bringBack(deps: StageDeps, search: Search, layers: readonly Digest[]) {
  const { record, secrets, call } = search;
  const { settings, base, volumeId } = record;
  const repository = base?.origin === "from" ? settings.from : settings.cache;
  if (repository === undefined || base?.tree === undefined) throw gone(volumeId);
  const reference = { host: repository.host, repository: repository.repository, digest: base.tree.digest };
  const accesses = await deps.keyring.accessesFor(reference, Object.fromEntries(secrets));
  try {
    const tree = await waitForTree(deps, call, reference, {
      accesses,
      reference,
      platform: settings.platform ?? deps.platform,
      ...(settings.mediaTypes === undefined ? {} : { mediaTypes: settings.mediaTypes }),
      layout: "overlay",
    });
    if (tree.layerIds.toReversed().join() === layers.join()) return tree;
    tree[Symbol.dispose]();
  } catch (error) {
    if (!isFailure(error, "not-found")) throw error;
  }
  throw gone(volumeId);
}

function gone(volumeId: string): Failure {
  return new Failure(
    "unavailable",
    `Cannot stage the volume "${volumeId}": layers of its base are gone from this node and cannot be had again; push the base again, or delete the claim`,
  );
}
