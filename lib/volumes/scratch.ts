// What a writable inline volume has to itself: one directory in one project, thrown away with it.
import type { Filling } from "../archive/start-upper.ts";
import { formatBytes } from "../core/quantity.ts";
import { type InlineRecord, recordName } from "../core/record.ts";
import type { Log } from "../host/log.ts";
import type { ScratchSettings } from "../settings/scratch.ts";
import { type ClaimDiskDeps, placesAt } from "./claim-disk.ts";
import { fitting } from "./fitting.ts";
import type { ViewSettings } from "./mount-tree.ts";
import { mountWritable, type WritableDeps } from "./mount-writable.ts";
import type { Records } from "./records.ts";

export type ScratchDeps = ClaimDiskDeps &
  WritableDeps & {
    readonly records: Records;
    readonly view: ViewSettings;
    readonly log: Log;
    /** Makes what pods write to, once. */
    readonly fillUpper: (filling: Filling, below: readonly string[]) => Promise<void>;
  };

/**
 * The Record is there, with a project nobody else has. What was written before goes on where `known` is of this boot and
 * of the same Tree; else it is gone: an upper is never mounted over another base.
 */
export async function recordScratch(
  deps: ScratchDeps,
  record: InlineRecord,
  { bytes, inodes }: ScratchSettings,
  known: InlineRecord | undefined,
): Promise<InlineRecord> {
  const { limits, records, log } = deps;
  if (known?.scratch !== undefined) {
    const again = { ...record, scratch: known.scratch };
    if (known.boot === record.boot && known.treeKey === record.treeKey) return await written(deps, again);
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

export type Start = {
  readonly layout: Filling["layout"];
  readonly settings: ScratchSettings;
  /** Topmost first. */
  readonly below: readonly string[];
  /** What those hold together. */
  readonly baseBytes: number;
};

/** The volume is at its target, to be written to. Failures: `out-of-range` for a base that a copy cannot hold, `full`. */
export async function mountScratch(deps: ScratchDeps, record: InlineRecord, start: Start): Promise<void> {
  const { volumeId, target, scratch } = record;
  const { layout, below, settings, baseBytes } = start;
  const places = placesAt(deps.root, recordName(volumeId, target));
  await deps.files.makeDirectory(places.directory, { mode: 0o700 });
  if (scratch !== undefined) await deps.limits.apply(places.directory, scratch.project, scratch);
  const filling = { upper: places.upper, layout, wishes: settings };
  await fitting(deps, { volumeId, layout, baseBytes, bytes: settings.bytes }, () =>
    deps.fillUpper(filling, below),
  );
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
