import { mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { isFailure, type Reason } from "../core/failure.ts";
import { MemoryLoopDevices } from "./loop-devices.fake.ts";
import { MemoryMounts } from "./mounts.fake.ts";
import { poolsContract } from "./pool.contract.ts";
import { MemoryPools } from "./pool.fake.ts";
import { LinuxPools, type PoolDeps } from "./pool.linux.ts";
import { fakeProcesses } from "./processes.fake.ts";
import { MemoryQuotas } from "./quotas.fake.ts";

const MIB = 1024 * 1024;

poolsContract("memory twin", async () => {
  const pools = new MemoryPools(2 ** 40);
  const image = "/pool.xfs";
  const mountPoint = "/pool";
  return {
    pools,
    image,
    mountPoint,
    write: (name, text) => void pools.mounted.get(mountPoint)?.files.set(name, text),
    read: (name) => pools.mounted.get(mountPoint)?.files.get(name) ?? "",
    mountedBytes: async () => pools.mounted.get(mountPoint)?.bytes,
    mountCount: async () => pools.mounted.size,
    imageExists: () => pools.images.has(image),
    reboot: async () => pools.reboot(),
    async [Symbol.asyncDispose]() {},
  };
});

describe("LinuxPools, where no pool comes of it", () => {
  let folder: string;
  const image = () => path.join(folder, "pool.xfs");
  const request = () => ({
    image: image(),
    mountPoint: path.join(folder, "pool"),
    bytes: 300 * MIB,
    floorBytes: 0,
  });
  const open = (deps: Partial<PoolDeps>) =>
    new LinuxPools({
      loops: new MemoryLoopDevices(),
      mounts: new MemoryMounts(),
      quotas: new MemoryQuotas(),
      processes: fakeProcesses({}),
      kernelFolder: path.join(folder, "kernel"),
      loadXfs: () => true,
      ...deps,
    }).open(request());
  const refusal = async (reason: Reason, deps: Partial<PoolDeps> = {}) => {
    const error: unknown = await open(deps).catch((error: unknown) => error);
    expect(error).toEqual(expect.toSatisfy((error) => isFailure(error, reason)));
    return String(error);
  };

  beforeEach(() => {
    folder = mkdtempSync(path.join(os.tmpdir(), "larder-pool-"));
    mkdirSync(path.join(folder, "kernel"));
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  it("open() refuses a kernel whose XFS has no quotas before it costs the node a byte", async () => {
    writeFileSync(path.join(folder, "kernel", "stat"), "");
    expect(await refusal("unsupported")).toMatch(
      /the kernel has no XFS quotas; run a kernel .* CONFIG_XFS_QUOTA/,
    );
    expect(readdirSync(folder)).toEqual(["kernel"]);
  });

  it("open() refuses a kernel without XFS before it costs the node a byte", async () => {
    expect(await refusal("unsupported", { loadXfs: () => false })).toMatch(
      /has no XFS; load the module "xfs"/,
    );
    expect(readdirSync(folder)).toEqual(["kernel"]);
  });

  it("open() says that mkfs.xfs is missing, and leaves nothing", async () => {
    expect(await refusal("unavailable")).toContain("mkfs.xfs");
    expect(readdirSync(folder)).toEqual(["kernel"]);
  });

  it("open() says what mkfs.xfs said last, and leaves nothing", async () => {
    const processes = fakeProcesses({
      "mkfs.xfs": ({ printError }) => {
        printError("warning\nmkfs.xfs: no such thing as reflink\n");
        return 1;
      },
    });
    expect(await refusal("unavailable", { processes })).toContain(
      "ended with 1: mkfs.xfs: no such thing as reflink",
    );
    expect(readdirSync(folder)).toEqual(["kernel"]);
  });

  it("open() removes what a start before it left unfinished", async () => {
    writeFileSync(`${image()}.new`, "half");
    await refusal("unavailable");
    expect(readdirSync(folder)).toEqual(["kernel"]);
  });

  it("open() refuses a directory and a symlink in the place of the image", async () => {
    mkdirSync(image());
    expect(await refusal("conflict")).toContain("it is not a file");
    rmSync(image(), { recursive: true });
    symlinkSync("/dev/null", image());
    expect(await refusal("conflict")).toContain("it is not a file");
  });
});
