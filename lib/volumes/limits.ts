// Size limits of what pods write: which project each volume has, and that no two ever share one.
import { Failure } from "../core/failure.ts";
import type { QuotaLimits, Quotas, Strays } from "../host/quotas.ts";

export type LimitsDeps = {
  readonly quotas: Quotas;
  /** Any directory on the file system that is limited. */
  readonly root: string;
  /** The first project that is ours to give. */
  readonly projects: { readonly base: number; readonly count: number };
};

/** Of a Record, as far as it is about limits. */
type Limited = { readonly project?: number };

/** Limits as far as this node has them: without `quotas` every call is done at once. */
export class Limits {
  readonly #deps: LimitsDeps | undefined;
  #drawing: Promise<unknown> = Promise.resolve();
  /** Of Records: one that was just drawn has nothing that shows it yet. */
  readonly #taken = new Set<number>();
  /** Records of any kind, as they are when they are asked for. */
  readonly #kept: Array<() => Iterable<Limited>> = [];

  constructor(deps: LimitsDeps | undefined) {
    this.#deps = deps;
  }

  get areEnforced(): boolean {
    return this.#deps !== undefined;
  }

  /**
   * Draws a project that no Record has and nothing is charged to, and hands it to `take`, which records it before the
   * next draw looks; until it is cleared nobody else gets it. None where nothing is limited.
   */
  async draw<T>(
    records: () => Iterable<Limited>,
    take: (project: number | undefined) => Promise<T>,
  ): Promise<T> {
    const drawn = this.#drawing.then(async () => await this.#give(await this.#free(records()), take));
    this.#drawing = drawn.catch(() => undefined);
    return await drawn;
  }

  /** The directory, and all that is made in it from now on, counts under the project; which may hold so much. */
  async apply(directory: string, project: number | undefined, limits: QuotaLimits): Promise<void> {
    if (this.#deps === undefined || project === undefined) return;
    const { quotas, root } = this.#deps;
    await quotas.setProject(directory, project);
    await quotas.setLimits(root, project, limits);
  }

  async set(project: number | undefined, limits: QuotaLimits): Promise<void> {
    if (this.#deps === undefined || project === undefined) return;
    await this.#deps.quotas.setLimits(this.#deps.root, project, limits);
  }

  async clear(project: number | undefined): Promise<void> {
    if (this.#deps === undefined || project === undefined) return;
    await this.#deps.quotas.clearLimits(this.#deps.root, project);
    this.#taken.delete(project);
  }

  /** What counts under the project; undefined where nothing is counted. */
  async usage(project: number | undefined): Promise<{ bytes: number; inodes: number } | undefined> {
    if (this.#deps === undefined || project === undefined) return undefined;
    const { usedBytes, usedInodes } = await this.#deps.quotas.readQuota(this.#deps.root, project);
    return { bytes: usedBytes, inodes: usedInodes };
  }

  /** What lies in the directory and counts elsewhere; undefined where nothing is counted. May take long. */
  async strays(directory: string, project: number, signal: AbortSignal): Promise<Strays | undefined> {
    return await this.#deps?.quotas.readStrays(directory, project, signal);
  }

  /** While such a Record is there nobody else gets its project, cleared or not: its removal clears it again. */
  know(records: () => Iterable<Limited>): void {
    this.#kept.push(records);
  }

  /**
   * Clears the limits of projects of ours that nobody is known to have, and sets those of `limited`, whose Records are
   * written before: a start finds what a crash left. How many it cleared.
   */
  async repair(limited: Iterable<Limited & QuotaLimits> = []): Promise<number> {
    if (this.#deps === undefined) return 0;
    const { quotas, root } = this.#deps;
    const taken = this.#recorded();
    const stray = (await quotas.list(root)).filter(
      ({ project, limits }) => limits !== undefined && this.#isOurs(project) && !taken.has(project),
    );
    for (const { project } of stray) await quotas.clearLimits(root, project);
    for (const { project, bytes, inodes } of limited) await this.set(project, { bytes, inodes });
    return stray.length;
  }

  async #give<T>(project: number | undefined, take: (project: number | undefined) => Promise<T>): Promise<T> {
    if (project !== undefined) this.#taken.add(project);
    try {
      return await take(project);
    } catch (error) {
      if (project !== undefined) this.#taken.delete(project);
      throw error;
    }
  }

  async #free(records: Iterable<Limited>): Promise<number | undefined> {
    if (this.#deps === undefined) return undefined;
    const { quotas, root, projects } = this.#deps;
    const taken = this.#recorded(records);
    // What is still charged belongs to a committed Layer, or to something on its way out.
    for (const { project } of await quotas.list(root)) taken.add(project);
    for (let project = projects.base; project < projects.base + projects.count; project++) {
      if (!taken.has(project)) return project;
    }
    throw new Failure(
      "full",
      "Cannot limit another volume: every project number of this node is taken; delete claims, or raise projects.count",
    );
  }

  #recorded(records: Iterable<Limited> = []): Set<number | undefined> {
    const kept = [records, ...this.#kept.map((read) => read())].flatMap((some) => [...some]);
    return new Set([...this.#taken, ...kept.map(({ project }) => project)]);
  }

  #isOurs(project: number): boolean {
    const { base, count } = this.#deps?.projects ?? { base: 0, count: 0 };
    return project >= base && project < base + count;
  }
}
