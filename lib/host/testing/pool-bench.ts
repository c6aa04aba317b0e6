// A pool on this machine's kernel, in a folder of its own, for tests.
import { existsSync, mkdtempSync, readFileSync, rmSync, statfsSync, writeFileSync } from "node:fs";
import path from "node:path";
import { vi } from "vitest";
import { BlockingThreads } from "../blocking.ts";
import { LinuxLoopDevices } from "../loop-devices.linux.ts";
import { LinuxMounts } from "../mounts.linux.ts";
import type { PoolBench } from "../pool.contract.ts";
import { LinuxPools, type PoolDeps } from "../pool.linux.ts";
import { openProcesses } from "../processes.linux.ts";
import { linuxQuotas } from "../quotas.linux.ts";

export type LinuxPoolBench = PoolBench & { readonly root: string; readonly deps: PoolDeps };

/** The image lies in a new folder below `parent`; all of it is gone once disposed of. */
export function openPoolBench(parent: string): LinuxPoolBench {
  const blocking = new BlockingThreads({ patienceMs: 1000 });
  const mounts = new LinuxMounts(blocking);
  const loops = new LinuxLoopDevices();
  const deps = { loops, mounts, quotas: linuxQuotas, processes: openProcesses() };
  const root = mkdtempSync(path.join(parent, "larder-pool-"));
  const image = path.join(root, "pool.xfs");
  const mountPoint = path.join(root, "pool");
  const mountCount = async () => (await mounts.at(mountPoint)).length;
  const reboot = async () => {
    while (await mounts.unmount(mountPoint));
    const isFree = async () => !existsSync(image) || (await loops.find(image)) === undefined;
    await vi.waitUntil(isFree, { timeout: 60_000, interval: 20 });
  };
  return {
    root,
    deps,
    pools: new LinuxPools(deps),
    image,
    mountPoint,
    write: (name, text) => writeFileSync(path.join(mountPoint, name), text, { flush: true }),
    read: (name) => readFileSync(path.join(mountPoint, name), "utf8"),
    async mountedBytes() {
      if ((await mountCount()) === 0) return undefined;
      const { blocks, bsize } = statfsSync(mountPoint);
      return blocks * bsize;
    },
    mountCount,
    imageExists: () => existsSync(image) || existsSync(`${image}.new`),
    reboot,
    async [Symbol.asyncDispose]() {
      await reboot();
      rmSync(root, { recursive: true });
      await blocking[Symbol.asyncDispose]();
    },
  };
}
