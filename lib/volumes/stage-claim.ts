// The journey of NodeStageVolume: a claim is mounted on its base, which the first success fixes for good.
import type { ClaimBase, ClaimRecord } from "../core/claim-record.ts";
import { isThrownAway, seekBase, stageClaim as staged } from "../core/claim-steps.ts";
import type { Digest } from "../core/digest.ts";
import { Failure } from "../core/failure.ts";
import { parseGroup } from "../core/volume-group.ts";
import { checkCapabilities } from "./claim-capability.ts";
import { ensureDisk, placesOf } from "./claim-disk.ts";
import { ensureGroup, type GroupDeps } from "./claim-group.ts";
import { mountClaim, refuseOtherPath } from "./claim-mount.ts";
import { type BaseFound, findBase, toBaseFound } from "./find-base.ts";
import { fitting } from "./fitting.ts";
import type { FindDeps, Search } from "./lease-base.ts";
import { waitFor, withPatience } from "./patience.ts";
import type { Call, StageRequest } from "./requests.ts";
import { leaseFixedBase } from "./return-base.ts";
import { checkTarget, clearTarget, isMounted, takePath } from "./target.ts";

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
  using _path = takePath(deps.occupants, volumeId, path, "stage");
  if (await isMounted(deps, path)) {
    if (record.stage?.boot === boot && record.stage.path === path) return;
    await clearTarget(deps, path, { keepDirectory: true });
  }
  await checkTarget(deps, path);
  using found = await waitForBase(deps, record, { secrets: request.secrets, call });
  const below = found.tree?.layers ?? deps.trees.contents(found.base.layers) ?? [];
  const fixed = staged(record, found.base, { path, boot });
  await deps.claims.write(fixed);
  noteBase(deps, record, found.base);
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

/** Once: what was said when the claim was made is not said again. */
function noteBase({ log }: StageDeps, { base, warning, volumeId }: ClaimRecord, { note }: ClaimBase): void {
  if (base !== undefined || note === undefined || warning?.includes(note) === true) return;
  log.warn(note, { volume: volumeId });
}

/** The node went down under it: of what was never synced nobody can tell what is left. */
async function beginAnew({ discard, root, log }: StageDeps, record: ClaimRecord): Promise<void> {
  const { volumeId } = record;
  log.warn("A volatile claim was not synced when its node went down: it begins anew", { volume: volumeId });
  await discard(placesOf(root, record).upper);
}

/** For a last question after `base-deadline`. */
const LAST_PATIENCE_MS = 10_000;

type Asking = Pick<StageRequest, "secrets"> & { readonly call: Call };

/** `pending` in words while the caller can still hear it. */
async function waitForBase(
  deps: StageDeps,
  record: ClaimRecord,
  { secrets, call }: Asking,
): Promise<BaseFound> {
  let told = `Looking for what the volume "${record.volumeId}" starts from`;
  const tell = (words: string) => {
    told = words;
  };
  const words = () => told;
  const patienceMs = patienceFor(record, deps.clock.now(), call);
  try {
    return await waitFor(deps.clock, call, words, (signal) =>
      withPatience(deps.clock, { signal, patienceMs }, (asking) =>
        baseOf(deps, { record, secrets, signal, asking, tell }),
      ),
    );
  } catch (error) {
    // The next call counts from when this one began; where the base is fixed now, nobody counts.
    if (deps.claims.require(record.volumeId) !== record) await deps.claims.write(record);
    throw error;
  }
}

/**
 * How long registries and credential plugins are asked: until the claim may start without them, which is then to happen
 * while the caller still waits.
 */
function patienceFor(
  { settings, baseSoughtMs, base }: ClaimRecord,
  nowMs: number,
  { deadline }: Call,
): number {
  if (settings.failOnMiss || base !== undefined) return Number.POSITIVE_INFINITY;
  const waitedMs = Math.max(0, nowMs - (baseSoughtMs ?? nowMs));
  return Math.max(settings.baseDeadlineMs - waitedMs, Math.min(LAST_PATIENCE_MS, (deadline - nowMs) / 2));
}

/** The base that is fixed, here or brought back; or else the one that is found. */
async function baseOf(deps: StageDeps, search: Search): Promise<BaseFound> {
  const { base } = search.record;
  if (base === undefined) return await findBase(deps, search);
  const isHere = base.layers.length === 0 || deps.trees.contents(base.layers) !== undefined;
  return toBaseFound(base, isHere ? undefined : await bringBack(deps, search, base.layers));
}

/** Layers that a power loss took are pulled again; an upper is never mounted over anything else. */
async function bringBack(deps: StageDeps, search: Search, layers: readonly Digest[]) {
  const tree = await leaseFixedBase(deps, search);
  if (tree?.layerIds.toReversed().join() === layers.join()) return tree;
  tree?.[Symbol.dispose]();
  throw gone(search.record.volumeId);
}

function gone(volumeId: string): Failure {
  return new Failure(
    "unavailable",
    `Cannot stage the volume "${volumeId}": layers of its base are gone from this node and cannot be had again; push the base again, or delete the claim`,
  );
}
