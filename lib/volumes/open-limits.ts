// Where the store lies and whether sizes are limits there: decided at every start, before anything of it is opened.
import path from "node:path";
import { Failure, isFailure } from "../core/failure.ts";
import { bytesOf } from "../core/quantity.ts";
import type { Files } from "../host/files.ts";
import type { Log } from "../host/log.ts";
import { namesIn } from "../host/names-in.ts";
import type { PoolRequest, Pools } from "../host/pool.ts";
import type { Quotas } from "../host/quotas.ts";
import type { NodeSettings } from "../settings/node.ts";
import { Limits } from "./limits.ts";

export type OpenLimitsDeps = {
  readonly files: Files;
  readonly quotas: Quotas;
  readonly pools: Pools;
  readonly log: Log;
  /** Lets go of what stands there, on the root's own file system. */
  readonly discard: (at: string) => Promise<void>;
};

export type LimitsSettings = Pick<NodeSettings, "root" | "quota" | "pool" | "projects">;

export type OpenedLimits = {
  /** Under it is all of the store, for renames and reflinks need one file system: the root, or the pool in it. */
  readonly root: string;
  readonly limits: Limits;
  /** Why sizes are no limits, although they were to be where they can; in a sentence. */
  readonly lacking?: string;
};

const POOL = "pool";
const IMAGE = "pool.xfs";
const MIB = 2 ** 20;

/** What a store without a pool has under the root. What else is there stays: the lock, for one. */
const STORE = [
  "records",
  "claims",
  "volumes",
  "layers",
  "trees",
  "tags",
  "partials",
  "ingest",
  "heads",
  "empty",
] as const;

/**
 * A pool that is there is where the store is, whatever is set: claims are in it. Else the root's own limits count,
 * else a pool is made, unless volumes of a store without one are there still. Safe to repeat, and to cut short.
 * Throws where `required` cannot be had, and where a pool that is there cannot be opened.
 */
export async function openLimits(deps: OpenLimitsDeps, settings: LimitsSettings): Promise<OpenedLimits> {
  const { root, quota } = settings;
  if (await hasPool(deps, root)) return await reopenPool(deps, settings);
  if (quota === "off") return { root, limits: new Limits(undefined) };
  const support = await deps.quotas.readSupport(root);
  if (support.enforced) return limited(deps, settings, root);
  const own = `the file system of "${root}" has no limits to give (${support.condition}; ${support.remedy})`;
  const refused = await tryPool(deps, settings);
  if (refused === undefined) return limited(deps, settings, path.join(root, POOL));
  return refuseOrGoOn(deps, settings, `${own}; and there is no pool: ${refused}`);
}

function limited(
  { quotas }: OpenLimitsDeps,
  { projects }: LimitsSettings,
  store: string,
): { readonly root: string; readonly limits: Limits } {
  return { root: store, limits: new Limits({ quotas, root: store, projects }) };
}

function refuseOrGoOn({ log }: OpenLimitsDeps, { root, quota }: LimitsSettings, why: string): OpenedLimits {
  if (quota === "required") {
    throw new Failure(
      "unsupported",
      `Cannot start with quota "required": ${why}. Or set quota to "auto", to go on without limits`,
    );
  }
  log.warn("Sizes of claims are promises here and no limits: pods can fill the disk", { why });
  return { root, limits: new Limits(undefined), lacking: why };
}

async function hasPool({ files }: OpenLimitsDeps, root: string): Promise<boolean> {
  return (await files.list(root)).some(({ name }) => name === IMAGE);
}

/** With quota "off" what has limits keeps them, and what is new gets none. */
async function reopenPool(deps: OpenLimitsDeps, settings: LimitsSettings): Promise<OpenedLimits> {
  try {
    await openPool(deps, settings);
  } catch (error) {
    if (!isFailure(error)) throw error;
    const image = path.join(settings.root, IMAGE);
    throw new Failure(
      error.reason,
      `Cannot start without the pool that the store is in: ${error.message}. Mend that; or move "${image}" away, with all the claims in it, to begin anew`,
      { cause: error },
    );
  }
  // A start may have been cut short between the two.
  await discardOld(deps, settings.root);
  const opened = limited(deps, settings, path.join(settings.root, POOL));
  return settings.quota === "off" ? { ...opened, limits: new Limits(undefined) } : opened;
}

/** Why there is none; nothing where there is one now. */
async function tryPool(deps: OpenLimitsDeps, settings: LimitsSettings): Promise<string | undefined> {
  const volumes = await countVolumes(deps, settings.root);
  if (volumes > 0) {
    return `volumes of this node were made without one and would be left behind (${volumes} of them); once they are deleted, a start makes it`;
  }
  try {
    await openPool(deps, settings);
  } catch (error) {
    if (!isFailure(error)) throw error;
    return error.message;
  }
  await discardOld(deps, settings.root);
  return undefined;
}

async function openPool({ files, pools, log }: OpenLimitsDeps, settings: LimitsSettings): Promise<void> {
  const { root, pool } = settings;
  const { bytesTotal } = await files.statFilesystem(root);
  const request: PoolRequest = {
    image: path.join(root, IMAGE),
    mountPoint: path.join(root, POOL),
    bytes: Math.floor(bytesOf(pool.size, bytesTotal) / MIB) * MIB,
    floorBytes: bytesOf(pool.floor, bytesTotal),
  };
  const { device, bytes, shortfall } = await pools.open(request);
  log.info("The store is in the pool", { image: request.image, device, bytes });
  if (shortfall !== undefined) log.warn("The pool stays smaller than it is set", { why: shortfall });
}

async function countVolumes({ files }: OpenLimitsDeps, root: string): Promise<number> {
  const counts = ["records", "claims"].map(
    async (folder) => (await namesIn(files, path.join(root, folder))).length,
  );
  return (await Promise.all(counts)).reduce((sum, count) => sum + count, 0);
}

/** A store outside of the pool: nobody would ever look there again. */
async function discardOld(deps: OpenLimitsDeps, root: string): Promise<void> {
  const { discard, files, log } = deps;
  const volumes = await countVolumes(deps, root);
  if (volumes > 0) {
    log.warn("Volumes that were made outside of the pool are left as they are", { volumes, root });
    return;
  }
  const there = await namesIn(files, root);
  for (const name of STORE) if (there.includes(name)) await discard(path.join(root, name));
}
