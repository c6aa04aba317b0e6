// The memory twin of project quotas: a small tree of directories and files that are charged as XFS charges them.
import path from "node:path";
import { Failure } from "../core/failure.ts";
import {
  checkLimitedProject,
  checkLimits,
  checkProject,
  type ProjectQuota,
  type QuotaLimits,
  type QuotaSupport,
  type Quotas,
  type Strays,
} from "./quotas.ts";

const BLOCK_BYTES = 4096;

type Inode = { project: number; readonly bytes: number | "directory" };

/** `makeDirectory`, `writeFile` and `remove` stand for what pods do; they fail as the kernel would, with ENOSPC. */
export class MemoryQuotas implements Quotas {
  readonly #inodes = new Map<string, Inode>([["/", { project: 0, bytes: "directory" }]]);
  readonly #limits = new Map<number, QuotaLimits>();
  readonly #support: QuotaSupport;

  constructor(support: QuotaSupport = { enforced: true }) {
    this.#support = support;
  }

  async readSupport(directory: string): Promise<QuotaSupport> {
    this.#directory("read the quota support of", directory);
    return this.#support;
  }

  async setProject(directory: string, project: number): Promise<void> {
    checkProject(project);
    this.#directory(`set the project ${project} on`, directory).project = project;
  }

  async readProject(directory: string): Promise<number> {
    return this.#directory("read the project of", directory).project;
  }

  async setLimits(directory: string, project: number, limits: QuotaLimits): Promise<void> {
    checkLimitedProject(project);
    checkLimits(limits);
    this.#enforced(`limit the project ${project} on the file system of`, directory);
    const bytes = Math.ceil(limits.bytes / BLOCK_BYTES) * BLOCK_BYTES;
    this.#limits.set(project, { bytes, inodes: limits.inodes });
  }

  async clearLimits(directory: string, project: number): Promise<void> {
    checkLimitedProject(project);
    this.#enforced(`clear the limits of the project ${project} on the file system of`, directory);
    this.#limits.delete(project);
  }

  async readQuota(directory: string, project: number): Promise<ProjectQuota> {
    checkLimitedProject(project);
    this.#enforced(`read the use of the project ${project} on the file system of`, directory);
    return this.#quota(project);
  }

  async readStrays(directory: string, project: number, signal: AbortSignal): Promise<Strays> {
    checkLimitedProject(project);
    this.#directory(`look for what left the project ${project} in`, directory);
    signal.throwIfAborted();
    const strays = [...this.#inodes]
      .filter(([at]) => at === directory || at.startsWith(`${directory}/`))
      .filter(([, inode]) => inode.project !== project);
    const bytes = strays.reduce((sum, [, inode]) => sum + charged(inode.bytes), 0);
    return { bytes, inodes: strays.length };
  }

  async list(directory: string): Promise<readonly ProjectQuota[]> {
    this.#enforced("list the projects on the file system of", directory);
    const used = [...this.#inodes.values()].map(({ project }) => project);
    return [...new Set([...used, ...this.#limits.keys()])]
      .filter((project) => project !== 0)
      .sort((a, b) => a - b)
      .map((project) => this.#quota(project));
  }

  makeDirectory(directory: string): void {
    this.#add(directory, "directory");
  }

  writeFile(file: string, bytes: number): void {
    this.#add(file, bytes);
  }

  remove(target: string): void {
    for (const name of this.#inodes.keys()) {
      if (name === target || name.startsWith(`${target}/`)) this.#inodes.delete(name);
    }
  }

  #add(target: string, bytes: Inode["bytes"]): void {
    const project = this.#inodes.get(path.dirname(target))?.project ?? 0;
    const { limits, usedBytes, usedInodes } = this.#quota(project);
    const tooMuch =
      limits !== undefined && (usedInodes + 1 > limits.inodes || usedBytes + charged(bytes) > limits.bytes);
    if (tooMuch) throw Object.assign(new Error(`ENOSPC: no space left, "${target}"`), { code: "ENOSPC" });
    this.#inodes.set(target, { project, bytes });
  }

  #quota(project: number): ProjectQuota {
    const own = [...this.#inodes.values()].filter((inode) => inode.project === project);
    const usedBytes = own.reduce((sum, { bytes }) => sum + charged(bytes), 0);
    const limits = this.#limits.get(project);
    return { project, usedBytes, usedInodes: own.length, ...(limits === undefined ? {} : { limits }) };
  }

  #directory(what: string, directory: string): Inode {
    const inode = this.#inodes.get(directory);
    if (inode?.bytes === "directory") return inode;
    const [reason, why] =
      inode === undefined
        ? (["not-found", "it does not exist"] as const)
        : (["conflict", "it is not a directory"] as const);
    throw new Failure(reason, `Cannot ${what} "${directory}": ${why}`);
  }

  #enforced(what: string, directory: string): void {
    this.#directory(what, directory);
    if (this.#support.enforced) return;
    const { condition, remedy } = this.#support;
    throw new Failure("unsupported", `Cannot ${what} "${directory}": ${condition}; ${remedy}`);
  }
}

function charged(bytes: Inode["bytes"]): number {
  return bytes === "directory" ? 0 : Math.ceil(bytes / BLOCK_BYTES) * BLOCK_BYTES;
}
