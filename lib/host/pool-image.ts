// The image file of the pool: formatted before it has its name, and allocated in full.
import {
  closeSync,
  constants,
  fstatSync,
  fsyncSync,
  lstatSync,
  mkdirSync,
  openSync,
  renameSync,
  rmSync,
  statfsSync,
} from "node:fs";
import path from "node:path";
import { Failure, isFailure } from "../core/failure.ts";
import { errorCode, failureOf } from "./errno.ts";
import { checked, libcFunction } from "./libc.ts";
import type { PoolRequest, PoolStep } from "./pool.ts";
import type { Processes } from "./processes.ts";

const fallocate = libcFunction("int fallocate(int, int, long, long)");
const STATED_BLOCK_BYTES = 512;

/** Ensures an image with an XFS on it, of at least these bytes where this makes it. Whether this made it. */
export async function ensureImage(
  processes: Processes,
  request: PoolRequest,
  onStep: (step: PoolStep) => void,
): Promise<boolean> {
  const { image, bytes } = request;
  const unfinished = `${image}.new`;
  rmSync(unfinished, { force: true });
  if (isThere(image)) return false;
  const attempt = `Cannot make the pool "${image}" of ${bytes} bytes`;
  try {
    mkdirSync(path.dirname(image), { recursive: true, mode: 0o700 });
    allocateFile(unfinished, request, attempt);
    onStep("allocated");
    await format(processes, unfinished, attempt);
    onStep("formatted");
    sync(unfinished);
    onStep("synced");
    renameSync(unfinished, image);
    sync(path.dirname(image));
    onStep("placed");
    return true;
  } catch (error) {
    rmSync(unfinished, { force: true });
    throw isFailure(error) ? error : failureOf(error, attempt);
  }
}

/**
 * Ensures that the image has these bytes and a place on the disk for each, also where a trim gave some back.
 * Answers its size: that before, and why, when there is no room to grow.
 */
export function fillImage(request: PoolRequest): { readonly bytes: number; readonly shortfall?: string } {
  const { image, bytes } = request;
  const before = lstatSync(image).size;
  allocateFile(image, { ...request, bytes: before }, `Cannot keep the pool "${image}" allocated`);
  if (before >= bytes) return { bytes: before };
  try {
    allocateFile(image, request, `Cannot grow the pool "${image}" from ${before} to ${bytes} bytes`);
    return { bytes };
  } catch (error) {
    if (!isFailure(error, "full")) throw error;
    return { bytes: before, shortfall: error.message };
  }
}

function isThere(image: string): boolean {
  const found = lstatSync(image, { throwIfNoEntry: false });
  if (found === undefined) return false;
  if (found.isFile()) return true;
  throw new Failure("conflict", `Cannot use "${image}" as the pool: it is not a file; move it away`);
}

function allocateFile(file: string, { bytes, floorBytes }: PoolRequest, attempt: string): void {
  const flags = constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW;
  const fd = openSync(file, flags, 0o600);
  try {
    const { blocks, size } = fstatSync(fd);
    const lacking = bytes - blocks * STATED_BLOCK_BYTES;
    if (lacking <= 0 && size >= bytes) return;
    requireRoom(file, { lacking, floorBytes }, attempt);
    checked("fallocate", fallocate(fd, 0, 0, bytes));
  } catch (error) {
    throw allocationFailure(error, attempt);
  } finally {
    closeSync(fd);
  }
}

function requireRoom(file: string, need: { lacking: number; floorBytes: number }, attempt: string): void {
  const { bavail, bsize } = statfsSync(path.dirname(file));
  const free = bavail * bsize;
  if (free - Math.max(0, need.lacking) >= need.floorBytes) return;
  throw new Failure(
    "full",
    `${attempt}: of ${free} free bytes it needs ${need.lacking}, and ${need.floorBytes} must stay free; free some, or lower pool.size`,
  );
}

function allocationFailure(error: unknown, attempt: string): unknown {
  if (errorCode(error) === "EOPNOTSUPP")
    return new Failure(
      "unsupported",
      `${attempt}: the file system there cannot allocate files in full; use ext4, XFS or btrfs`,
      { cause: error },
    );
  return isFailure(error) ? error : failureOf(error, attempt);
}

/** Without discards, which would give back what was allocated; sectors of 4 KiB fit every disk beneath. */
async function format(processes: Processes, file: string, attempt: string): Promise<void> {
  const args = ["-q", "-K", "-L", "larder", "-m", "reflink=1", "-s", "size=4096", file];
  const env = { PATH: "/usr/sbin:/sbin:/usr/bin:/bin", LC_ALL: "C" };
  const { exitCode, stderrTail } = await processes.run({ program: "mkfs.xfs", args, env });
  if (exitCode === 0) return;
  const told = stderrTail.trim().split("\n").at(-1) ?? "";
  throw new Failure("unavailable", `${attempt}: mkfs.xfs ended with ${exitCode ?? "a signal"}: ${told}`);
}

function sync(path: string): void {
  const fd = openSync(path, constants.O_RDONLY);
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}
