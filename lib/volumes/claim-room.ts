// How much this node can still promise to claims, and the collection that makes room for one.
import { admitPolicy, claimableBytes, planRoom, type Room } from "../core/capacity.ts";
import { type ClaimRecord, isPendingWriteBack } from "../core/claim-record.ts";
import type { CachePolicy } from "../core/claim-settings.ts";
import { type Amount, bytesOf } from "../core/quantity.ts";
import type { ClaimLayers } from "../trees/claim-layers.ts";
import type { ClaimDeps } from "./claim-deps.ts";
import { keptBytes } from "./kept-pack.ts";

export type RoomDeps = Pick<ClaimDeps, "files" | "root" | "trees" | "promises">;

/** The largest claim that can be given now. */
export async function readClaimable(deps: RoomDeps): Promise<number> {
  return claimableBytes(await readRoom(deps));
}

/** `record` is called once there is room for so many bytes, collected where need be, and says who has it. Throws `full`. */
export async function withRoom<T>(deps: RoomDeps, bytes: number, record: () => Promise<T>): Promise<T> {
  return await deps.promises.give(bytes, async () => {
    const room = await readRoom(deps);
    const missing = planRoom(bytes, room);
    // What was to go may have been leased meanwhile: then there is less room than it seemed.
    if (missing > 0) planRoom(bytes, { ...room, collectableBytes: await deps.trees.collect(missing) });
    return await record();
  });
}

export type PendingDeps = Pick<ClaimDeps, "files" | "limits" | "root" | "claims"> & {
  readonly layers: Pick<ClaimLayers, "bytesOf">;
  /** What write-backs that wait may hold; of the whole file system where it is a share. */
  readonly pending: Amount;
};

/** The policy that a new claim has while others wait to be written back, and why it is another than was asked for. */
export async function readPolicy(
  deps: PendingDeps,
  { terms: { policy }, settings: { cache } }: Pick<ClaimRecord, "terms" | "settings">,
): Promise<{ readonly policy: CachePolicy; readonly warning?: string }> {
  if (cache === undefined) return { policy };
  const { bytesTotal } = await deps.files.statFilesystem(deps.root);
  const boundBytes = bytesOf(deps.pending, bytesTotal);
  return admitPolicy(policy, { pendingBytes: await readPending(deps), boundBytes });
}

/** What claims that are deleted, and that the registry has not confirmed, hold of the disk, packed and unpacked. */
async function readPending(deps: PendingDeps): Promise<number> {
  const { claims, limits, layers } = deps;
  let bytes = 0;
  for (const record of claims.all.values()) {
    if (!isPendingWriteBack(record)) continue;
    const { commit, project } = record;
    bytes +=
      commit === undefined
        ? ((await limits.usage(project))?.bytes ?? 0)
        : layers.bytesOf([commit.layer]) + (await keptBytes(deps, record));
  }
  return bytes;
}

async function readRoom({ files, root, trees, promises }: RoomDeps): Promise<Room> {
  const promised = await promises.list();
  const { bytesFree } = await files.statFilesystem(root);
  return {
    freeBytes: Math.max(0, bytesFree - trees.figures().incomingBytes),
    collectableBytes: trees.collectableBytes(),
    promises: promised,
    overcommit: promises.overcommit,
  };
}
