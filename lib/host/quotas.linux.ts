// Project quotas of XFS by system calls on open directories, so that no device and no mount point must be known.
import { closeSync, constants, existsSync, openSync, statfsSync } from "node:fs";
import { Failure } from "../core/failure.ts";
import { encodePath } from "../core/path-bytes.ts";
import { errorCode, failureOf } from "./errno.ts";
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
import { findStrays } from "./stray-inodes.ts";
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
  async readStrays(directory, project, signal) {
    checkLimitedProject(project);
    const what = `look for what left the project ${project} in`;
    try {
      return await findStrays(directory, project, signal);
    } catch (error) {
      throw signal.aborted ? error : refusal(`Cannot ${what} "${directory}"`, directory, error);
    }
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

/** XFS lists its quotas' figures where the kernel has it built with any, once an XFS was mounted. */
export function hasXfsQuota(kernelFolder = "/proc/fs/xfs"): boolean {
  return existsSync(`${kernelFolder}/xqmstat`);
}

function supportOf(path: string, fd: number): QuotaSupport {
  const lacking = (condition: QuotaCondition): QuotaSupport => ({
    enforced: false,
    condition,
    remedy: quotaRemedies[condition],
  });
  if (statfsSync(path).type !== XFS_SUPER_MAGIC) return lacking("it is not XFS");
  try {
    const { counted, enforced } = readQuotaState(fd);
    if (enforced) return { enforced };
    return lacking(counted ? "it counts and does not limit" : "it is mounted without prjquota");
  } catch (error) {
    // ENOSYS is the answer for "off" and for "cannot" alike.
    if (errorCode(error) !== "ENOSYS") throw error;
    return lacking(hasXfsQuota() ? "it is mounted without prjquota" : "the kernel has no XFS quotas");
  }
}

/** ENOENT of a quota call means a project without limits and use. */
function unlessAbsent<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    if (errorCode(error) === "ENOENT") return undefined;
    throw error;
  }
}

function onDirectory<T>(what: string, directory: string, act: (fd: number) => T): T {
  let fd: number | undefined;
  try {
    fd = openSync(
      Buffer.from(encodePath(directory)),
      constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW,
    );
    return act(fd);
  } catch (error) {
    throw refusal(`Cannot ${what} "${directory}"`, directory, error);
  } finally {
    if (fd !== undefined) closeSync(fd);
  }
}

function refusal(what: string, directory: string, error: unknown): unknown {
  switch (errorCode(error)) {
    case "ENOSYS":
    case "ENOTTY":
    case "EOPNOTSUPP":
    case "ESRCH":
      return new Failure("unsupported", `${what}: ${conditionOf(directory)}`, { cause: error });
    // Setting a project from within a user namespace is EINVAL.
    case "EINVAL":
    case "EPERM":
      return new Failure(
        "unavailable",
        `${what}: the kernel does not permit it; run the plugin as root, outside of user namespaces`,
        { cause: error },
      );
    default:
      return failureOf(error, what);
  }
}

function conditionOf(directory: string): string {
  const support = onDirectory("read the quota support of", directory, (fd) => supportOf(directory, fd));
  return support.enforced ? "its file system refuses it" : `${support.condition}; ${support.remedy}`;
}
