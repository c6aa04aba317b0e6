// Mounts by system calls, and the truth about them from /proc/self/mountinfo.
import { readFileSync } from "node:fs";
import { realpath } from "node:fs/promises";
import path from "node:path";
import { Failure } from "../core/failure.ts";
import { type MountEntry, mountsAt, parseMountinfo } from "../core/mountinfo.ts";
import { decodePath, encodePath } from "../core/path-bytes.ts";
import type { Blocking } from "./blocking.ts";
import { errorCode, failureOf } from "./errno.ts";
import { mountBind } from "./mount-calls.ts";
import { isMountRoot } from "./mount-syscalls.ts";
import { type BindRequest, type Mounts, type OverlayRequest, requireExact, requireLayers } from "./mounts.ts";

export class LinuxMounts implements Mounts {
  readonly #blocking: Blocking;

  constructor(blocking: Blocking) {
    this.#blocking = blocking;
  }

  // Here and now, not in a thread: it reads no disk and takes microseconds.
  async bind(request: BindRequest): Promise<void> {
    requireExact(request.target);
    try {
      mountBind(request);
    } catch (error) {
      throw mountFailure(
        error,
        `Cannot mount "${request.source}" at "${request.target}"`,
        "one of the two is a directory, the other is not",
      );
    }
  }

  async overlay(request: OverlayRequest): Promise<void> {
    requireExact(request.target);
    requireLayers(request);
    try {
      await this.#blocking.run({ ...request, kind: "overlay" });
    } catch (error) {
      throw mountFailure(
        error,
        `Cannot mount an overlay at "${request.target}"`,
        "its directories or options do not suit it; the node's kernel log says more",
      );
    }
  }

  async unmount(target: string): Promise<boolean> {
    requireExact(target);
    try {
      await this.#blocking.run({ kind: "unmount", target });
      return true;
    } catch (error) {
      // EINVAL and ENOENT mean "no mount" and other things besides: the table decides.
      const absent = ["EINVAL", "ENOENT", "ENOTDIR"].includes(errorCode(error) ?? "");
      if (absent && (await this.at(target)).length === 0) return false;
      throw unmountFailure(error, target);
    }
  }

  async at(target: string): Promise<readonly MountEntry[]> {
    requireExact(target);
    // Reading the table costs milliseconds where there are hundreds of overlays; most answers are "nothing".
    if (isPlain(target)) return [];
    const directory = await realDirectoryOf(target);
    if (directory === undefined) return [];
    return mountsAt(await this.list(), path.join(directory, path.basename(target)));
  }

  // In one go: through the thread pool each 4 KiB of the table would be a trip of its own.
  async list(): Promise<readonly MountEntry[]> {
    return parseMountinfo(readFileSync("/proc/self/mountinfo"));
  }
}

/** Whether the kernel is sure that nothing is mounted there. */
function isPlain(target: string): boolean {
  try {
    return isMountRoot(encodePath(target)) === false;
  } catch (error) {
    // A mount may answer with any error of its own (ENOTCONN, EIO, EACCES): then the table decides.
    return ["ENOENT", "ENOTDIR"].includes(errorCode(error) ?? "");
  }
}

/** The directory above, without symlinks, as the table has it. Not of the target itself: it may be a mount that hangs. */
async function realDirectoryOf(target: string): Promise<string | undefined> {
  try {
    const bytes = Buffer.from(encodePath(path.dirname(target)));
    return decodePath(await realpath(bytes, { encoding: "buffer" }));
  } catch (error) {
    if (["ENOENT", "ENOTDIR"].includes(errorCode(error) ?? "")) return undefined;
    throw failureOf(error, `Cannot look for what is mounted at "${target}"`);
  }
}

/** `unfit` is what EINVAL most likely means. */
function mountFailure(error: unknown, attempt: string, unfit: string): unknown {
  const detail = detailOf(error);
  const told = detail === "" ? "" : ` (${detail})`;
  switch (errorCode(error)) {
    case "ENOSYS":
    case "ENODEV":
      return new Failure(
        "unsupported",
        `${attempt}: this node's kernel cannot; use Linux 5.15 or newer${told}`,
        { cause: error },
      );
    case "E2BIG":
      return new Failure(
        "unsupported",
        `${attempt}: it has more layers than this node's kernel takes; use Linux 6.8 or newer, or layout: copy`,
        { cause: error },
      );
    case "EINVAL":
      return new Failure("unsupported", `${attempt}: ${unfit}${told}`, { cause: error });
    case "ENOSPC":
      return new Failure(
        "full",
        `${attempt}: the node has as many mounts as it may; raise fs.mount-max${told}`,
        { cause: error },
      );
    default:
      return failureOf(error, attempt, detail);
  }
}

function unmountFailure(error: unknown, target: string): unknown {
  const attempt = `Cannot unmount "${target}"`;
  if (errorCode(error) === "EBUSY")
    return new Failure(
      "in-use",
      `${attempt}: something on the node has a file in it open; end that process`,
      { cause: error },
    );
  if (errorCode(error) === "EINVAL")
    return new Failure(
      "unavailable",
      `${attempt}: it was mounted by another mount namespace; unmount it there`,
      { cause: error },
    );
  return failureOf(error, attempt, detailOf(error));
}

function detailOf(error: unknown): string {
  return error instanceof Error && "detail" in error && typeof error.detail === "string" ? error.detail : "";
}
