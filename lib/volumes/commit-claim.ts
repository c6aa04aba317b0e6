// Commit: what a claim's pods wrote becomes a Layer of this node, so that the next claim can start from it at once.
import path from "node:path";
import type { ClaimRecord } from "../core/claim-record.ts";
import { commitClaim as committed } from "../core/claim-steps.ts";
import { isFailure } from "../core/failure.ts";
import type { ClaimLayers } from "../trees/claim-layers.ts";
import type { ClaimDeps } from "./claim-deps.ts";
import { placesOf } from "./claim-disk.ts";

export type CommitDeps = Pick<ClaimDeps, "files" | "limits" | "root" | "claims" | "clock"> & {
  readonly layers: Pick<ClaimLayers, "adopt" | "isHere">;
};

/**
 * The Record says which Layer the changes are, and the Layer is in place, both durably. Stopped anywhere and called
 * again it ends the same: until the rename the upper is where it was, after it the Layer is.
 */
export async function commitClaim(deps: CommitDeps, before: ClaimRecord): Promise<ClaimRecord> {
  const { files, limits, root, claims, clock, layers } = deps;
  const { directory, upper } = placesOf(root, before);
  // What pods wrote is on the disk before anything says that it is.
  await files.syncFilesystem(directory);
  const record = committed(before, clock.now());
  if (record !== before) await claims.write(record);
  const layer = record.commit?.layer;
  if (layer === undefined || layers.isHere(layer)) return record;
  const used = await limits.usage(record.project);
  const leaving = path.join(directory, "commit");
  await files.makeDirectory(leaving, { mode: 0o700 });
  try {
    await files.rename(upper, path.join(leaving, "fs"));
  } catch (error) {
    // An earlier attempt got so far.
    if (!isFailure(error, "not-found")) throw error;
  }
  await files.syncDirectory(leaving);
  await layers.adopt(leaving, { id: layer, ownBytes: used?.bytes ?? 0, inodes: used?.inodes ?? 0 });
  // From now on it is content, and content has no limit.
  await limits.clear(record.project);
  return record;
}
