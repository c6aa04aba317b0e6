// A Layer of raw blobs: each becomes one file, linked from where it is here already or from what arrives.
import { chmod, mkdir, utimes } from "node:fs/promises";
import path from "node:path";
import { isFailure } from "../core/failure.ts";
import type { FilePlan } from "../core/layer-plan.ts";
import type { Arrived, Asker, Blobs } from "./blobs.ts";
import type { Claim } from "./claims.ts";
import { toDiskFailure } from "./disk-failure.ts";
import type { Inventory } from "./inventory.ts";
import type { Layer, StoredFile } from "./layer.ts";
import type { Layout } from "./layout.ts";
import { registryOf } from "./permission.ts";
import { isSameStamp, placeFile, type Stamped, stamp } from "./place-file.ts";

export type FileLayerDeps = {
  readonly blobs: Blobs;
  readonly inventory: Inventory;
  readonly layout: Layout;
};

export type FilledFiles = Pick<Layer, "files" | "blobs" | "ownBytes" | "shared" | "inodes"> & {
  /** What arrived for it, to be let go once the Layer is in place. */
  readonly claims: ReadonlyArray<Claim<Arrived>>;
};

const blockBytes = 4096;

/** Fills the empty directory with the files of the plan. On failure, all of `claims` are let go. */
export async function fillFiles(
  deps: FileLayerDeps,
  asker: Asker,
  files: readonly FilePlan[],
  directory: string,
): Promise<FilledFiles> {
  const folders = await makeFolders(directory, files);
  const claims: Array<Claim<Arrived>> = [];
  const placed = await Promise.allSettled(
    files.map(async (file) => {
      const claim = await bringFile(deps, asker, file, path.join(directory, file.path));
      if (claim !== undefined) claims.push(claim);
    }),
  );
  const failures = placed.flatMap((result) =>
    result.status === "rejected" ? [result.reason as unknown] : [],
  );
  if (failures.length > 0) {
    const full = failures.find((failure) => isFailure(toDiskFailure(failure, "files"), "full"));
    // On a full disk nothing is kept for the next try, which would fail for it.
    for (const { value } of claims) value.used ||= full !== undefined;
    await Promise.all(claims.map((claim) => claim[Symbol.asyncDispose]()));
    throw full ?? failures[0];
  }
  // Deepest first, since filling a folder changes its time.
  for (const folder of folders.toReversed()) await utimes(folder, 0, 0);
  return { claims, ...describe(files, folders.length) };
}

/** The folders, outermost first, `directory` itself included. */
async function makeFolders(directory: string, files: readonly FilePlan[]): Promise<string[]> {
  const relative = new Set<string>();
  for (const file of files) {
    for (let at = path.dirname(file.path); at !== "."; at = path.dirname(at)) relative.add(at);
  }
  const folders = [directory, ...[...relative].sort().map((folder) => path.join(directory, folder))];
  for (const folder of folders) {
    await mkdir(folder, { recursive: true });
    await chmod(folder, 0o755);
  }
  return folders;
}

/** Places one file; the claim is what arrived for it, undefined where it was here already. */
async function bringFile(
  deps: FileLayerDeps,
  asker: Asker,
  file: FilePlan,
  target: string,
): Promise<Claim<Arrived> | undefined> {
  const donor = donorOf(deps, registryOf(asker.access), file);
  if (donor !== undefined) {
    using _pin = deps.inventory.pin([donor.layer]);
    const at = path.join(deps.layout.content(donor.layer), donor.file.path);
    await placeFile({ at, stamp: donor.file }, { at: target, stamp: file });
    return undefined;
  }
  const claim = await deps.blobs.raw(asker, { digest: file.blob.digest, size: file.blob.size });
  try {
    const { mode, mtime } = file;
    await claim.alone(() => placeArrived(claim.value, { at: target, stamp: { mode, mtime } }));
    return claim;
  } catch (error) {
    await claim[Symbol.asyncDispose]();
    throw error;
  }
}

/** The first to place what arrived gives it its stamp; the download's own file becomes the Layer's. */
async function placeArrived({ partial, placed }: Arrived, target: Stamped): Promise<void> {
  const [first = { at: partial.feed.path, stamp: target.stamp }] = placed;
  if (placed.length === 0) {
    await stamp(first.at, first.stamp);
    placed.push(first);
  }
  const twin = placed.find((each) => isSameStamp(each.stamp, target.stamp));
  if (twin !== undefined && (await hasPlaced(twin, target))) return;
  await placeFile(first, target);
  placed.push(target);
}

/** False where the twin is gone from there: its Layer has got its place, or was given up. */
async function hasPlaced(twin: Stamped, target: Stamped): Promise<boolean> {
  try {
    await placeFile(twin, target);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return false;
    throw error;
  }
}

/** A file of a Layer whose bytes came from the same registry; of the same stamp where there is one, to be linked. */
function donorOf(deps: FileLayerDeps, registry: string, wanted: FilePlan) {
  const donors = deps.inventory
    .layersOf(wanted.blob.digest)
    .filter((layer) => layer.sources.includes(registry))
    .flatMap((layer) => layer.files.map((file) => ({ layer: layer.id, file })))
    .filter(({ file }) => file.digest === wanted.blob.digest);
  return donors.find(({ file }) => isSameStamp(file, wanted)) ?? donors[0];
}

function describe(plans: readonly FilePlan[], folders: number): Omit<FilledFiles, "claims"> {
  const files: StoredFile[] = plans.map(({ path, blob, mode, mtime }) => ({
    path,
    digest: blob.digest,
    size: blob.size,
    mode,
    mtime,
  }));
  const parts = new Map(
    files.map(({ digest, size, mode, mtime }) => [
      `file ${digest} ${mode} ${mtime}`,
      Math.ceil(size / blockBytes) * blockBytes,
    ]),
  );
  return {
    files,
    blobs: [...new Map(files.map(({ digest, size }) => [digest, { digest, size }])).values()],
    ownBytes: folders * blockBytes,
    shared: [...parts].map(([id, bytes]) => ({ id, bytes })),
    inodes: files.length + folders,
  };
}
