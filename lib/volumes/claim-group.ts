// The group (fsGroup) of a claim's pods: its base made over for it, and what was written before made the group's too.
import type { GroupTrees } from "../archive/group-tree.ts";
import type { ClaimRecord } from "../core/claim-record.ts";
import { Failure } from "../core/failure.ts";
import type { GroupedLayers } from "../trees/grouped-layers.ts";
import type { ClaimDeps } from "./claim-deps.ts";
import { placesOf } from "./claim-disk.ts";
import { makeOver } from "./make-over.ts";
import { waitFor } from "./patience.ts";
import type { Call } from "./requests.ts";
import { clearTarget } from "./target.ts";
import type { Unmounts } from "./unmounts.ts";

export type GroupPorts = {
  readonly groupedLayers: Pick<GroupedLayers, "lease">;
  readonly groupTrees: GroupTrees;
};

export type GroupDeps = ClaimDeps & GroupPorts & { readonly unmounts: Unmounts };

/** What pods are to find: the group that a call names, or without one the group that the claim has already. */
export type GroupWish = { readonly gid: number | undefined; readonly call: Call };

/** Whether pods of the group find the claim theirs as it is. Its base is here, and what pods write to is made. */
export function isForPods({ trees, groupTrees, root }: GroupDeps, record: ClaimRecord, gid: number): boolean {
  const { group, base } = record;
  if (group !== undefined) return group.gid === gid && group.isApplied;
  const [top] = trees.contents(base?.layers ?? []) ?? [];
  const roots = [placesOf(root, record).upper, ...(top === undefined ? [] : [top])];
  return roots.every((one) => groupTrees.isGroups(one, gid));
}

/**
 * The claim for pods of the group: what it stands on is here, what they wrote before is the group's. Where that took a
 * change, nothing is mounted at its staging path when it resolves. Safe to repeat, after a stop anywhere too. `pending`
 * while Layers are made over, `in-use`, `full`.
 */
export async function ensureGroup(
  deps: GroupDeps,
  record: ClaimRecord,
  { gid: asked, call }: GroupWish,
): Promise<ClaimRecord> {
  const gid = asked ?? record.group?.gid;
  if (gid === undefined) return record;
  const isDone = isForPods(deps, record, gid);
  if (isDone && record.group === undefined) return record;
  // Also where it is done: a power loss may have taken them.
  const layers = record.settings.layout === "copy" ? [] : (record.base?.layers ?? []);
  using grouped = await makeOver(deps, { volumeId: record.volumeId, layers, gid }, call);
  if (isDone) return record;
  await leaveStage(deps, record, call);
  const group = { gid, layers: grouped.layers };
  // From here on it is for neither group, until all that was written is the new one's.
  await deps.claims.write({ ...record, group: { ...group, isApplied: false } });
  await deps.groupTrees.give(placesOf(deps.root, record).upper, gid);
  const given: ClaimRecord = { ...record, group: { ...group, isApplied: true } };
  await deps.claims.write(given);
  return given;
}

/** Nothing of the claim is mounted at its staging path, for which it is made over. */
async function leaveStage(deps: GroupDeps, { volumeId, stage }: ClaimRecord, call: Call): Promise<void> {
  if (stage === undefined) return;
  const words = () => `Unmounting the volume "${volumeId}" to mount it for pods of another group`;
  const unmount = async () => await clearTarget(deps, stage.path, { keepDirectory: true });
  await waitFor(deps.clock, call, words, () => deps.unmounts.join(volumeId, unmount));
}

/**
 * Nothing is left of the group in what pods wrote, once and for all: what is committed is the same whichever group it
 * was. Not while it is mounted; repeating is safe.
 */
export async function takeGroup(
  deps: Pick<GroupDeps, "trees" | "groupTrees" | "root">,
  record: ClaimRecord,
): Promise<void> {
  const { group, base, settings, volumeId } = record;
  if (group === undefined) return;
  const { upper } = placesOf(deps.root, record);
  const below = deps.trees.contents(base?.layers ?? []);
  if (below === undefined) {
    const why = "layers of its base are gone from this node";
    throw new Failure(
      "unavailable",
      `Cannot commit the volume "${volumeId}": ${why}; delete it with the policy "discard"`,
    );
  }
  // A stop may have left a part of it to the group before.
  if (!group.isApplied) await deps.groupTrees.give(upper, group.gid);
  const kind = settings.layout === "copy" ? "plain" : "overlay";
  await deps.groupTrees.take({ upper, below, kind, gid: group.gid, wishes: settings });
}
