// Project quotas of XFS by system calls on open directories, so that no device and no mount point must be known.
import { closeSync, constants, openSync, statfsSync } from "node:fs";
import { Failure, type Reason } from "../core/failure.ts";
import {
  checkLimitedProject,
  checkLimits,
  checkProject,
  LAST_PROJECT,
  type ProjectQuota,
  type QuotaCondition,
  type QuotaSupport,
  type Quotas,
  quotaRemedies,
} from "./quotas.ts";
import {
  readNextQuotaBlock,
  readProjectOf,
  readQuotaBlock,
  readQuotaState,
  writeProjectTo,
  writeQuotaLimits,
} from "./xfs-calls.ts";

const XFS_SUPER_MAGIC = 0x58465342;

/** The calls take fractions of a millisecond and stay on the calling thread. */
export const linuxQuotas: Quotas = {
  async readSupport(path) {
    return onDirectory("read the quota support of", path, (fd) => supportOf(path, fd));
  },
  async setProject(directory, project) {
    checkProject(project);
    onDirectory(`set the project ${project} on`, directory, (fd) => writeProjectTo(fd, project));
  },
  async readProject(directory) {
    return onDirectory("read the project of", directory, readProjectOf);
  },
  async setLimits(path, project, limits) {
    checkLimitedProject(project);
    checkLimits(limits);
    onDirectory(`limit the project ${project} on the file system of`, path, (fd) =>
      writeQuotaLimits(fd, project, limits),
    );
  },
  async clearLimits(path, project) {
    checkLimitedProject(project);
    onDirectory(`clear the limits of the project ${project} on the file system of`, path, (fd) =>
      writeQuotaLimits(fd, project, { bytes: 0, inodes: 0 }),
    );
  },
  async readQuota(path, project) {
    checkLimitedProject(project);
    return onDirectory(
      `read the use of the project ${project} on the file system of`,
      path,
      (fd) => unlessAbsent(() => readQuotaBlock(fd, project)) ?? { project, usedBytes: 0, usedInodes: 0 },
    );
  },
  async list(path) {
    return onDirectory("list the projects on the file system of", path, (fd) => [...projectsOf(fd)]);
  },
};

function* projectsOf(fd: number): Generator<ProjectQuota> {
  for (let from = 1; from <= LAST_PROJECT; ) {
    const next = unlessAbsent(() => readNextQuotaBlock(fd, from));
    if (next === undefined) return;
    yield next;
    from = next.project + 1;
  }
}

function supportOf(path: string, fd: number): QuotaSupport {
  const lacking = (condition: QuotaCondition): QuotaSupport => ({
    enforced: false,
    condition,
    remedy: quotaRemedies[condition],
  });
  if (statfsSync(path).type !== XFS_SUPER_MAGIC) return lacking("not-xfs");
  try {
    const { counted, enforced } = readQuotaState(fd);
    if (enforced) return { enforced };
    return lacking(counted ? "not-enforced" : "not-mounted-with-prjquota");
  } catch (error) {
    // Q_XGETQSTATV says ENOSYS for "off" and for "cannot" alike; asking for a quota tells them apart.
    if (codeOf(error) !== "ENOSYS") throw error;
    return lacking(canCount(fd) ? "not-mounted-with-prjquota" : "kernel-without-quota");
  }
}

function canCount(fd: number): boolean {
  try {
    readQuotaBlock(fd, 1);
    return true;
  } catch (error) {
    return codeOf(error) !== "ENOSYS";
  }
}

/** ENOENT of a quota call means a project without limits and use. */
function unlessAbsent<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    if (codeOf(error) === "ENOENT") return undefined;
    throw error;
  }
}

const reasons: Readonly<Record<string, readonly [reason: Reason, why: string]>> = {
  ENOENT: ["not-found", "it does not exist"],
  ENOTDIR: ["invalid", "it is not a directory; name one, and not by a symbolic link"],
  ELOOP: ["invalid", "it is not a directory; name one, and not by a symbolic link"],
  EPERM: ["denied", "the kernel does not permit it; run as root outside of user namespaces"],
  EACCES: ["denied", "the kernel does not permit it; run as root outside of user namespaces"],
  EINVAL: ["denied", "the kernel does not permit it; run as root outside of user namespaces"],
  EROFS: ["unavailable", "its file system is read-only; look at the kernel's log"],
  EIO: ["unavailable", "its file system has failed; look at the kernel's log"],
  EUCLEAN: ["unavailable", "its file system is damaged; run xfs_repair"],
  ENOSPC: ["full", "its file system has no room for the quota itself; free some"],
  EMFILE: ["unavailable", "too many files are open; try again"],
  ENFILE: ["unavailable", "too many files are open; try again"],
};

function onDirectory<T>(what: string, directory: string, act: (fd: number) => T): T {
  let fd: number | undefined;
  try {
    fd = openSync(directory, constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW);
    return act(fd);
  } catch (error) {
    throw refusal(`Cannot ${what} "${directory}"`, directory, error);
  } finally {
    if (fd !== undefined) closeSync(fd);
  }
}

function refusal(what: string, directory: string, cause: unknown): unknown {
  const code = codeOf(cause) ?? "";
  if (["ENOSYS", "ENOTTY", "EOPNOTSUPP", "ESRCH"].includes(code)) {
    return new Failure("unsupported", `${what}: ${conditionOf(directory)}`, { cause });
  }
  const [reason, why] = reasons[code] ?? [];
  return reason === undefined ? cause : new Failure(reason, `${what}: ${why}`, { cause });
}

function conditionOf(directory: string): string {
  const support = onDirectory("read the quota support of", directory, (fd) => supportOf(directory, fd));
  return support.enforced ? "its file system refuses it" : `${support.condition}; ${support.remedy}`;
}

function codeOf(error: unknown): string | undefined {
  return (error as NodeJS.ErrnoException).code;
}
