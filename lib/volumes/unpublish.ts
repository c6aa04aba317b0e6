// The journey of NodeUnpublishVolume: nothing of the volume is left at its target.
import { recordName } from "../core/record.ts";
import type { Log } from "../host/log.ts";
import type { Trees } from "../trees/trees.ts";
import type { ClaimDiskDeps } from "./claim-disk.ts";
import type { Occupants } from "./occupants.ts";
import type { Records } from "./records.ts";
import type { UnpublishRequest } from "./requests.ts";
import { discardScratch } from "./scratch.ts";
import { leaveTarget, type TargetDeps } from "./target.ts";
import type { VolumeTurns } from "./volume-turns.ts";

export type UnpublishDeps = TargetDeps &
  ClaimDiskDeps & {
    readonly turns: VolumeTurns;
    readonly records: Records;
    readonly occupants: Occupants;
    readonly log: Log;
    readonly trees: Pick<Trees, "letGo">;
  };

/**
 * Neither mount, directory, what was written nor Record is left when it resolves; a volume that is unknown is fine.
 * What is at the target and not ours, or not empty, is never touched: `conflict`. `in-use` while the mount is busy.
 * What another volume has there stays as well, and nothing is said of it: this one is not there, as was asked.
 */
export async function unpublish(deps: UnpublishDeps, { volumeId, target }: UnpublishRequest): Promise<void> {
  using _turn = deps.turns.take(volumeId);
  await leaveTarget(deps, volumeId, target);
  const record = deps.records.at(volumeId, target);
  if (record !== undefined) await discardScratch(deps, record);
  await deps.records.remove(recordName(volumeId, target));
  deps.trees.letGo(recordName(volumeId, target));
}
