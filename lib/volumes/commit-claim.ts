// Commit: what a claim's pods wrote becomes a Layer of this node, so that the next claim can start from it at once.
import path from "node:path";
import type { ClaimRecord } from "../core/claim-record.ts";
import { commitClaim as committed, unstageClaim as unstaged } from "../core/claim-steps.ts";
import type { Digest } from "../core/digest.ts";
import { Failure, isFailure } from "../core/failure.ts";
import { namesIn } from "../host/names-in.ts";
import type { ClaimLayers } from "../trees/claim-layers.ts";
import type { ClaimDeps } from "./claim-deps.ts";
import { placesOf } from "./claim-disk.ts";
import { type GroupDeps, takeGroup } from "./claim-group.ts";

export type CommitDeps = Pick<
  ClaimDeps & GroupDeps,
  "files" | "limits" | "root" | "claims" | "clock" | "trees" | "groupTrees"
> & {
  readonly layers: Pick<ClaimLayers, "adopt" | "isHere">;
};

/**
 * The Record says which Layer the changes are, and the Layer is in place, both durably. Stopped anywhere and called
 * again it ends the same: until the rename the upper is where it was, after it the Layer is. Nothing comes of a claim
 * that no stage brought so far that a pod could write. Throws `corrupt` where what was to become the Layer is gone.
 */
export async function commitClaim(deps: CommitDeps, before: ClaimRecord): Promise<ClaimRecord | undefined> {
  const { files, limits, root, claims, clock, layers } = deps;
  const isInPlace = ({ commit }: ClaimRecord) => commit !== undefined && layers.isHere(commit.layer);
  let record = before;
  if (!isInPlace(before)) {
    const { directory } = placesOf(root, before);
    const names = await namesIn(files, directory);
    if (!names.includes("upper") && !names.includes(LEAVING)) {
      if (before.commit === undefined) return undefined;
      throw lost(before);
    }
    // What pods wrote is on the disk before anything says that it is.
    await files.syncFilesystem(directory);
    // What its node goes through later is no matter of what its pods wrote.
    record = committed(before.commit === undefined ? unstaged(before, files.bootId()) : before, clock.now());
    if (record !== before) await claims.write(record);
    // Not before it is recorded: nobody stages it any more.
    if (record.group !== undefined && names.includes("upper")) {
      await takeGroup(deps, record);
      await files.syncFilesystem(directory);
    }
    if (record.commit !== undefined) await adopt(deps, record, record.commit.layer);
  }
  // From now on it is content, and content has no limit.
  await limits.clear(record.project);
  return record;
}

/** Beside the upper: what is on its way to be a Layer. */
const LEAVING = "commit";

async function adopt(
  { files, limits, root, layers }: CommitDeps,
  record: ClaimRecord,
  layer: Digest,
): Promise<void> {
  const { directory, upper } = placesOf(root, record);
  const used = await limits.usage(record.project);
  const leaving = path.join(directory, LEAVING);
  await files.makeDirectory(leaving, { mode: 0o700 });
  try {
    await files.rename(upper, path.join(leaving, "fs"));
  } catch (error) {
    // An earlier attempt got so far.
    if (!isFailure(error, "not-found")) throw error;
  }
  await files.syncDirectory(leaving);
  await layers.adopt(leaving, { id: layer, ownBytes: used?.bytes ?? 0, inodes: used?.inodes ?? 0 });
}

const lost = ({ volumeId }: ClaimRecord) =>
  new Failure(
    "corrupt",
    `Cannot commit the volume "${volumeId}": what its pods wrote is gone from this node; delete it with the policy "discard"`,
  );
