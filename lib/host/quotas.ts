// Size limits of directory trees, by project: a number that inodes carry and a file system counts under.
import { Failure } from "../core/failure.ts";

/** What a project may use at most. The file system rounds bytes up to whole blocks. */
export type QuotaLimits = { readonly bytes: number; readonly inodes: number };

/** What a project uses, and its limits where it has some. */
export type ProjectQuota = {
  readonly project: number;
  readonly usedBytes: number;
  readonly usedInodes: number;
  readonly limits?: QuotaLimits;
};

/** What lies in a directory and is not charged to its project. */
export type Strays = { readonly bytes: number; readonly inodes: number };

/** Whether limits hold on a file system; if not, why, in words that follow its name. */
export type QuotaSupport =
  | { readonly enforced: true }
  | { readonly enforced: false; readonly condition: QuotaCondition; readonly remedy: string };

export type QuotaCondition =
  | "it is not XFS"
  | "the kernel has no XFS quotas"
  | "it is mounted without prjquota"
  | "it counts and does not limit";

/**
 * Limits are hard and soft at once, and last until they are cleared: across mounts, and beyond what they limited.
 * `path` names the file system: any directory on it. Each call may be repeated.
 * Failures, of each: not-found, conflict (no directory, or a symlink), invalid (a number out of range), unsupported
 * (no project quotas there; the condition is named), full, unavailable (not permitted, or the disk failed).
 */
export interface Quotas {
  /** Never refuses with `unsupported`: that is its answer. */
  readSupport(path: string): Promise<QuotaSupport>;
  /** Charges the directory itself and all that is made in it from now on; what is in it already stays as it was. 0 takes it out. */
  setProject(directory: string, project: number): Promise<void>;
  /** 0 for none. A directory's owner may have changed it. */
  readProject(directory: string): Promise<number>;
  /** A limit below what is used is accepted, and nothing more can be written. */
  setLimits(path: string, project: number, limits: QuotaLimits): Promise<void>;
  clearLimits(path: string, project: number): Promise<void>;
  /** Zeros for a project that was never heard of. What was removed counts for a moment longer. */
  readQuota(path: string, project: number): Promise<ProjectQuota>;
  /**
   * What lies in the directory, at any depth, and counts elsewhere: the owner of a directory can take it out of its project.
   * Looks at every inode, some tens of microseconds each, in slices. What moves meanwhile may be missed. Rejects with the
   * signal's reason when that is aborted.
   */
  readStrays(directory: string, project: number, signal: AbortSignal): Promise<Strays>;
  /** Each project but 0 that has limits or uses something, in ascending order. */
  list(path: string): Promise<readonly ProjectQuota[]>;
}

/** The highest number a project can have: the next one means "none" to the kernel. */
export const LAST_PROJECT = 0xfffffffe;

/** Refuses (`invalid`) what cannot have limits: 0 holds everything that is in no project. */
export function checkLimitedProject(project: number): void {
  if (Number.isInteger(project) && project >= 1 && project <= LAST_PROJECT) return;
  throw new Failure(
    "invalid",
    `Cannot limit the project "${project}": use a number from 1 to ${LAST_PROJECT}`,
  );
}

/** Refuses (`invalid`) what an inode cannot carry. */
export function checkProject(project: number): void {
  if (project !== 0) checkLimitedProject(project);
}

/** Refuses (`invalid`) limits that would mean "none" or nothing at all. */
export function checkLimits({ bytes, inodes }: QuotaLimits): void {
  if ([bytes, inodes].every((value) => Number.isSafeInteger(value) && value >= 1)) return;
  throw new Failure(
    "invalid",
    `Cannot limit a project to ${bytes} bytes and ${inodes} inodes: use whole numbers from 1 on`,
  );
}

/** What an administrator can do about each condition. */
export const quotaRemedies: Readonly<Record<QuotaCondition, string>> = {
  "it is not XFS": "keep the root on XFS mounted with prjquota, or let a pool be made",
  "the kernel has no XFS quotas": "run a kernel of 5.14 or later that is built with CONFIG_XFS_QUOTA",
  "it is mounted without prjquota":
    "unmount the file system and mount it with prjquota (a remount does not turn it on; a root file system needs rootflags=prjquota)",
  "it counts and does not limit": "mount the file system with prjquota instead of pqnoenforce",
};
