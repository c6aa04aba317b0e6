// How much this node can still promise to claims, and the collection that makes room for one.
import { claimableBytes, planRoom, type Room } from "../core/capacity.ts";
import type { ClaimDeps } from "./claim-deps.ts";

export type RoomDeps = Pick<ClaimDeps, "files" | "limits" | "root" | "claims" | "trees" | "overcommit">;

/** The largest claim that can be given now. */
export async function readClaimable(deps: RoomDeps): Promise<number> {
  return claimableBytes(await readRoom(deps));
}

/** There is room for a claim of so many bytes when it resolves, collected where need be. Throws `full`. */
export async function makeRoom(deps: RoomDeps, bytes: number): Promise<void> {
  const missing = planRoom(bytes, await readRoom(deps));
  if (missing > 0) await deps.trees.collect(missing);
}

async function readRoom({ files, limits, root, claims, trees, overcommit }: RoomDeps): Promise<Room> {
  const promises = await Promise.all(
    [...claims.all.values()].map(async ({ bytes, project }) => ({
      bytes,
      // What is not counted is taken for not used: the safe side.
      usedBytes: (await limits.usage(project))?.bytes ?? 0,
    })),
  );
  const { bytesFree } = await files.statFilesystem(root);
  return { freeBytes: bytesFree, collectableBytes: trees.collectableBytes(), promises, overcommit };
}
