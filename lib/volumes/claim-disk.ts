// What a claim has on the disk: one directory in one project, made and cleared as a whole.
import path from "node:path";
import type { ClaimRecord } from "../core/claim-record.ts";
import type { Files } from "../host/files.ts";
import type { Limits } from "./limits.ts";

export type ClaimDiskDeps = {
  readonly files: Files;
  readonly limits: Limits;
  readonly root: string;
  /** Renames into `trash/`; the removal goes on behind. */
  readonly discard: (at: string) => Promise<void>;
};

/** Where what a volume's pods write is kept. */
export type Places = {
  readonly directory: string;
  /** What pods write: the upper of an overlay, or under `copy` all there is. */
  readonly upper: string;
  /** The overlay's own, beside the upper and in its project. */
  readonly work: string;
};

export function placesOf(root: string, { volumeId }: Pick<ClaimRecord, "volumeId">): Places {
  return placesAt(root, volumeId);
}

/** `name`: that of the volume's Record. */
export function placesAt(root: string, name: string): Places {
  const directory = path.join(root, "volumes", name);
  return { directory, upper: path.join(directory, "upper"), work: path.join(directory, "work") };
}

/** These directories, or where there are none that of a layer with nothing in it, which is there when it resolves. */
export async function orEmptyLayer(
  { files, root }: Pick<ClaimDiskDeps, "files" | "root">,
  below: readonly string[],
): Promise<readonly string[]> {
  if (below.length > 0) return below;
  const empty = path.join(root, "empty");
  await files.makeDirectory(empty);
  return [empty];
}

/** The claim's directory is there, in its project, and limited; before anything else is made in it. */
export async function ensureDisk({ files, limits, root }: ClaimDiskDeps, record: ClaimRecord): Promise<void> {
  const { directory } = placesOf(root, record);
  await files.makeDirectory(directory, { mode: 0o700 });
  await limits.apply(directory, record.project, record);
}

/** Nothing of it is left in place, and its project's limit is lifted. */
export async function clearDisk(
  { limits, root, discard }: ClaimDiskDeps,
  record: ClaimRecord,
): Promise<void> {
  await discard(placesOf(root, record).directory);
  await limits.clear(record.project);
}
