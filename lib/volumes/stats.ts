// The journey of NodeGetVolumeStats: what an inline volume holds, as counted when it was unpacked, or as its limit has it.
import { Failure } from "../core/failure.ts";
import { recordName } from "../core/record.ts";
import type { Trees } from "../trees/trees.ts";
import { placesAt } from "./claim-disk.ts";
import type { Records } from "./records.ts";
import type { StatsRequest, Usage, VolumeStats } from "./requests.ts";
import { readUse, type UseDeps } from "./use.ts";

export type StatsDeps = UseDeps & {
  readonly records: Records;
  readonly trees: Pick<Trees, "sizeOf">;
  readonly root: string;
};

/** A read-only volume is exactly as large as what is in it. `not-found` for what is not published there. */
export async function stats(deps: StatsDeps, { volumeId, path }: StatsRequest): Promise<VolumeStats> {
  const record = deps.records.at(volumeId, path);
  if (record?.scratch !== undefined) {
    const { directory } = placesAt(deps.root, recordName(volumeId, path));
    return await readUse(deps, { ...record.scratch, volumeId, directory }, path);
  }
  const size = record && deps.trees.sizeOf(record.treeKey);
  if (size === undefined) {
    throw new Failure(
      "not-found",
      `Cannot tell the size of volume "${volumeId}": it is not published at "${path}"`,
    );
  }
  return { bytes: full(size.bytes), inodes: full(size.inodes) };
}

const full = (used: number): Usage => ({ total: used, used, available: 0 });
