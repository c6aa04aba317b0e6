// What a writable inline volume has to itself: one directory in one project, thrown away with it.
import type { Filling } from "../archive/start-upper.ts";
import type { Digest } from "../core/digest.ts";
import { formatBytes } from "../core/quantity.ts";
import { type InlineRecord, recordName, rootsOfInline } from "../core/record.ts";
import type { Log } from "../host/log.ts";
import type { ScratchSettings } from "../settings/scratch.ts";
import type { LeasedTree } from "../trees/tree-request.ts";
import type { Trees } from "../trees/trees.ts";
import { type ClaimDiskDeps, placesAt } from "./claim-disk.ts";
import type { GroupPorts } from "./claim-group.ts";
import { fitting } from "./fitting.ts";
import { type MakeOverDeps, makeOver } from "./make-over.ts";
import type { ViewSettings } from "./mount-tree.ts";
import { mountWritable, type WritableDeps } from "./mount-writable.ts";
import type { Records } from "./records.ts";
import type { Call } from "./requests.ts";

export type ScratchDeps = ClaimDiskDeps &
  WritableDeps &
  GroupPorts &
  MakeOverDeps & {
    readonly trees: Pick<Trees, "contents" | "hold" | "sizeOf">;
    readonly records: Records;
    readonly view: ViewSettings;
    readonly log: Log;
    /** Makes what pods write to, once. */
    readonly fillUpper: (filling: Filling, below: readonly string[]) => Promise<void>;
  };

/** A volume that is to be written to. */
export type Scratch = {
  readonly record: InlineRecord;
  /** Its Record of before. */
  readonly known: InlineRecord | undefined;
  readonly layout: Filling["layout"];
  readonly settings: ScratchSettings;
  /** The group of its pod. */
  readonly gid: number | undefined;
};

/**
 * The volume is recorded, and at its target to be written to. What was written before goes on where the Record of before
 * is of this boot and over the same Layers; else it is gone: an upper is never mounted over another base. Failures:
 * `pending` while its base is made over for a group, `out-of-range` for a base that a copy cannot hold, `full`.
 */
export async function publishScratch(
  deps: ScratchDeps,
  scratch: Scratch,
  tree: LeasedTree,
  call: Call,
): Promise<void> {
  const { record, known, settings } = scratch;
  using base = await leaseBase(deps, scratch, tree, call);
  const { grouped } = base;
  const name = recordName(record.volumeId, record.target);
  deps.trees.hold(name, [tree.key, ...tree.layerIds, ...(grouped ?? [])]);
  const wanted = grouped === undefined ? record : { ...record, grouped };
  const recorded = await recordScratch(deps, wanted, settings, known);
  const baseBytes = deps.trees.sizeOf(tree.key)?.bytes ?? 0;
  await mountScratch(deps, { ...scratch, record: recorded }, { below: base.below, baseBytes });
}

type Base = Disposable & {
  /** Topmost first. */
  readonly below: readonly string[];
  readonly grouped?: readonly Digest[];
};

/** What it stands on, for pods of a group where there is one; kept until it is disposed of. */
async function leaseBase(
  deps: ScratchDeps,
  { record: { volumeId }, layout, gid }: Scratch,
  tree: LeasedTree,
  call: Call,
): Promise<Base> {
  const [top] = tree.layers;
  const asItIs = gid === undefined || top === undefined || deps.groupTrees.isGroups(top, gid);
  // A copy is its pod's own, and given to the group itself.
  if (asItIs || layout === "copy") return { below: tree.layers, [Symbol.dispose]: () => undefined };
  const made = await makeOver(deps, { volumeId, layers: tree.layerIds.toReversed(), gid }, call);
  const below = deps.trees.contents(made.layers);
  if (below === undefined) throw new Error("layers were made over, and are not here");
  return { below, grouped: made.layers, [Symbol.dispose]: () => made[Symbol.dispose]() };
}

/** The Record is there, with a project nobody else has. */
async function recordScratch(
  deps: ScratchDeps,
  record: InlineRecord,
  { bytes, inodes }: ScratchSettings,
  known: InlineRecord | undefined,
): Promise<InlineRecord> {
  const { limits, records, log } = deps;
  if (known?.scratch !== undefined) {
    const again = { ...record, scratch: known.scratch };
    const isSame = rootsOfInline(known).join() === rootsOfInline(record).join();
    if (isSame && known.boot === record.boot) return await written(deps, again);
    await discardScratch(deps, known);
  }
  if (!limits.areEnforced) {
    const volume = { volume: record.volumeId, size: formatBytes(bytes) };
    log.warn("A writable volume has no limit: this node has no project quotas", volume);
  }
  return await limits.draw(
    () => records.scratches(),
    (project) =>
      written(deps, { ...record, scratch: { bytes, inodes, ...(project === undefined ? {} : { project }) } }),
  );
}

async function written({ records }: ScratchDeps, record: InlineRecord): Promise<InlineRecord> {
  await records.write(record);
  return record;
}

async function mountScratch(
  deps: ScratchDeps,
  { record, layout, settings, gid }: Scratch,
  { below, baseBytes }: Pick<Base, "below"> & { readonly baseBytes: number },
): Promise<void> {
  const { volumeId, target, scratch } = record;
  const places = placesAt(deps.root, recordName(volumeId, target));
  await deps.files.makeDirectory(places.directory, { mode: 0o700 });
  if (scratch !== undefined) await deps.limits.apply(places.directory, scratch.project, scratch);
  const filling = { upper: places.upper, layout, wishes: settings };
  await fitting(deps, { volumeId, layout, baseBytes, bytes: settings.bytes }, () =>
    deps.fillUpper(filling, below),
  );
  if (gid !== undefined && !deps.groupTrees.isGroups(places.upper, gid))
    await deps.groupTrees.give(places.upper, gid);
  await deps.files.makeDirectory(target, { mode: 0o750 });
  // Nobody has it after a crash, so nothing of it need ever reach the disk.
  await mountWritable(deps, deps.view, { places, layout, below, isVolatile: true }, target);
}

/** Nothing of it is left in place, and its project's limit is lifted. The Record is the caller's to remove, after. */
export async function discardScratch(
  { root, discard, limits }: ClaimDiskDeps,
  record: InlineRecord,
): Promise<void> {
  if (record.scratch === undefined) return;
  await discard(placesAt(root, recordName(record.volumeId, record.target)).directory);
  await limits.clear(record.scratch.project);
}
