// Mounting and unmounting on the node, and the kernel's word on what is mounted.
import path from "node:path";
import { Failure } from "../core/failure.ts";
import type { MountEntry } from "../core/mountinfo.ts";

export type MountFlags = { readonly readOnly: boolean; readonly noSuid: boolean; readonly noDev: boolean };

export type BindRequest = { readonly source: string; readonly target: string; readonly flags: MountFlags };

export type OverlayRequest = {
  /** Topmost first; two at least where there is no upper. */
  readonly lower: readonly string[];
  readonly upper?: string;
  /** Beside the upper, on its file system; the kernel's own. */
  readonly work?: string;
  readonly target: string;
  readonly flags: MountFlags;
  /** The SELinux label that all of it shows; only where SELinux is on. */
  readonly context?: string;
  /** Skips every sync of the upper: after a crash it is not to be trusted. */
  readonly volatile?: boolean;
  /** Renaming a directory of a lower layer is a mark in the upper, not EXDEV; such marks in `lower` are followed. */
  readonly redirectDir?: boolean;
};

/** What the kernel's table names as the source of every overlay that is mounted here: how it is known for ours. */
export const overlaySource = "larder";

/**
 * Paths are absolute and normal (`invalid`). A target exists, is a directory where the source is one and a file where it is a file, and is
 * never a symlink (`conflict`). What is mounted shows at the peers of a shared mount above it, a pod's among them.
 * Repeating a mount stacks another: who must not, asks `at` first. Also: `not-found`, `full` (too many mounts),
 * `unsupported` (the kernel or file system cannot).
 */
export interface Mounts {
  /** Only the mount the source is in; what is mounted beneath the source is not shown. */
  bind(request: BindRequest): Promise<void>;
  overlay(request: OverlayRequest): Promise<void>;
  /** Takes the topmost mount at exactly this path away, never what a symlink points at; false when there is none. `in-use` while something has it open. */
  unmount(target: string): Promise<boolean>;
  /** What is mounted at exactly this path, lowest first; symlinks above its last name are followed. */
  at(target: string): Promise<readonly MountEntry[]>;
  /** The kernel's whole table. */
  list(): Promise<readonly MountEntry[]>;
}

/** Refuses a path whose last name is not its last: behind a slash or a dot, the kernel would follow a symlink. */
export function requireExact(target: string): void {
  if (path.isAbsolute(target) && path.normalize(target) === target && !/.\/$/.test(target)) return;
  throw new Failure(
    "invalid",
    `Cannot take "${target}" for a mount: give an absolute path without "." and ".." and without a slash at its end`,
  );
}

/** Refuses what the kernel would only refuse with EINVAL and a line in its own log. */
export function requireLayers({ lower, upper, work, target }: OverlayRequest): void {
  const attempt = `Cannot mount an overlay at "${target}"`;
  if ((upper === undefined) !== (work === undefined))
    throw new Failure("unsupported", `${attempt}: an upper directory and its work directory go together`);
  if (lower.length === 0 || (lower.length === 1 && upper === undefined))
    throw new Failure("unsupported", `${attempt}: ${lower.length} layers are too few; bind a single one`);
}
