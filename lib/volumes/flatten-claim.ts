// Makes a chain that grew too deep one Layer on this node too: what its registry has as one is attached as one.
import path from "node:path";
import { assembleLayers } from "../archive/clone-tree.ts";
import type { ClaimRecord } from "../core/claim-record.ts";
import { type Digest, digestOf } from "../core/digest.ts";
import { Failure } from "../core/failure.ts";
import type { ClaimLayers } from "../trees/claim-layers.ts";
import type { ClaimDeps } from "./claim-deps.ts";
import { placesOf } from "./claim-disk.ts";

export type FlattenDeps = Pick<ClaimDeps, "files" | "root" | "trees" | "discard"> & {
  readonly layers: Pick<ClaimLayers, "adopt" | "isHere">;
};

/** The id of the Layer, which is in place, durably. Stopped anywhere and called again it ends the same. */
export async function flattenClaim(
  { files, root, trees, discard, layers }: FlattenDeps,
  record: ClaimRecord,
  chain: readonly Digest[],
): Promise<Digest> {
  const id = digestOf(JSON.stringify(["flat", ...chain]));
  if (layers.isHere(id)) return id;
  const contents = trees.contents(chain);
  if (contents === undefined) {
    const why = "layers of it are gone from this node; the next try pulls what was pushed";
    throw new Failure("unavailable", `Cannot flatten the volume "${record.volumeId}": ${why}`);
  }
  const directory = path.join(placesOf(root, record).directory, "flat");
  await discard(directory);
  await files.makeDirectory(directory);
  // Links would tie the inodes to the projects of other claims.
  const { bytes, inodes } = await assembleLayers(contents, path.join(directory, "fs"), {
    links: "reflink-or-copy",
  });
  await files.syncFilesystem(directory);
  await layers.adopt(directory, { id, ownBytes: bytes, inodes });
  return id;
}
