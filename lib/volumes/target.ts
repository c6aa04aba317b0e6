// The path that the kubelet wants a volume at: what is there, made ready, and cleared again.
import { Failure, isFailure } from "../core/failure.ts";
import type { MountEntry } from "../core/mountinfo.ts";
import type { Files } from "../host/files.ts";
import type { Log } from "../host/log.ts";
import { type Mounts, overlaySource } from "../host/mounts.ts";
import type { Occupants, PathUse } from "./occupants.ts";

export type TargetDeps = { readonly files: Files; readonly mounts: Mounts; readonly root: string };

/**
 * Whether the mount is of the store: an overlay, one Layer, or a copy that pods write to. Overlays are known by their source:
 * in their options older kernels show names of descriptors, where newer ones show our paths.
 */
function isOurMount(entry: MountEntry): boolean {
  if (entry.type === "overlay") return entry.source === overlaySource;
  return /\/(?:layers\/[0-9a-f]{64}\/fs|volumes\/(?:claim-)?[0-9a-f]{64}\/upper)$/.test(entry.root);
}

/** Whether a mount of ours is at the target, on top. Throws `conflict` where it is somebody else's. */
export async function isMounted(deps: TargetDeps, target: string): Promise<boolean> {
  const top = (await deps.mounts.at(target)).at(-1);
  if (top === undefined) return false;
  if (isOurMount(top)) return true;
  throw foreign("publish", target, top);
}

/**
 * Nobody else mounts anything at the path until it is disposed of. Throws `conflict` where another volume is recorded
 * there, or this one otherwise, whose mount is not to be replaced; `busy` while another is being mounted there.
 */
export function takePath(occupants: Occupants, volumeId: string, path: string, use: PathUse): Disposable {
  const other = occupants.otherAt(volumeId, path, use);
  if (other === undefined) return occupants.take(volumeId, path);
  const verb = use === "target" ? "publish" : "stage";
  throw new Failure(
    "conflict",
    `Cannot ${verb} the volume "${volumeId}" at "${path}": the volume "${other}" is there; unpublish or unstage that first`,
  );
}

/**
 * As `clearTarget`, but for what another volume has there, which stays: to whoever asks, this one is gone from it.
 */
export async function leaveTarget(
  deps: TargetDeps & { readonly occupants: Occupants; readonly log: Log },
  volumeId: string,
  target: string,
): Promise<void> {
  if (!isOthers(deps, volumeId, target, "target")) await clearTarget(deps, target);
}

/** Whether it stays as it is, since another volume is recorded there, or this one otherwise; that is logged. */
export function isOthers(
  { occupants, log }: { readonly occupants: Occupants; readonly log: Log },
  volumeId: string,
  path: string,
  use: PathUse,
): boolean {
  const other = occupants.otherAt(volumeId, path, use);
  if (other !== undefined)
    log.warn("Left a path as it is, which another volume has", { volume: volumeId, path, other });
  return other !== undefined;
}

/** Throws `conflict` for anything at the target but an empty directory: what a mount would hide is somebody's. */
export async function checkTarget({ files }: TargetDeps, target: string): Promise<void> {
  const [first] = await files.list(target).catch((error: unknown) => {
    if (isFailure(error, "not-found")) return [];
    if (!isFailure(error, "conflict")) throw error;
    throw cannotMount(target, "it is a file or a symlink, or lies under one; move that away", error);
  });
  if (first !== undefined)
    throw cannotMount(target, `the directory is not empty ("${first.name}" is in it); move its content away`);
}

function cannotMount(target: string, why: string, cause?: unknown): Failure {
  return new Failure("conflict", `Cannot mount at "${target}": ${why}`, { cause });
}

/**
 * Ensures that nothing of ours is mounted at the target, however often it was, and that the directory is gone.
 * `in-use` while a mount is busy; `conflict` for what is not ours or not empty, which stays as it is.
 */
export async function clearTarget(
  deps: TargetDeps,
  target: string,
  options: { readonly keepDirectory?: boolean } = {},
): Promise<void> {
  for (
    let entries = await deps.mounts.at(target);
    entries.length > 0;
    entries = await deps.mounts.at(target)
  ) {
    const top = entries.at(-1);
    if (top !== undefined && !isOurMount(top)) throw foreign("unpublish", target, top);
    await deps.mounts.unmount(target);
  }
  if (options.keepDirectory !== true) await removeTarget(deps, target);
}

async function removeTarget({ files }: TargetDeps, target: string): Promise<void> {
  try {
    await files.removeEmptyDirectory(target);
  } catch (error) {
    if (isFailure(error, "not-found")) return;
    throw error;
  }
}

function foreign(what: string, target: string, { type, source }: MountEntry): Failure {
  return new Failure(
    "conflict",
    `Cannot ${what} at "${target}": another file system (${type} from "${source}") is mounted there; unmount it first`,
  );
}
