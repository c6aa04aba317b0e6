// The pool, with real quotas: an XFS image on the machine's XFS.
import { copyFileSync, existsSync, readdirSync, statSync, writeFileSync } from "node:fs";
import path from "node:path";
import { execa } from "execa";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { isFailure } from "../core/failure.ts";
import { poolsContract } from "./pool.contract.ts";
import { LinuxPools } from "./pool.linux.ts";
import type { PoolStep } from "./pool.ts";
import { linuxQuotas } from "./quotas.linux.ts";
import { type LinuxPoolBench, openPoolBench } from "./testing/pool-bench.ts";

const MIB = 1024 * 1024;
const xfs = process.env["LARDER_VM_XFS"] ?? "";

poolsContract("Linux", async () => openPoolBench(xfs));

describe("LinuxPools", () => {
  let bench: LinuxPoolBench;
  const request = (bytes = 320 * MIB) => ({
    image: bench.image,
    mountPoint: bench.mountPoint,
    bytes,
    floorBytes: MIB,
  });
  beforeEach(() => {
    bench = openPoolBench(xfs);
  });
  afterEach(() => bench[Symbol.asyncDispose]());

  it("open() gives a file system whose limits hold, and last over a restart of the node", async () => {
    await bench.pools.open(request());
    expect(await linuxQuotas.readSupport(bench.mountPoint)).toEqual({ enforced: true });
    await linuxQuotas.setLimits(bench.mountPoint, 7, { bytes: MIB, inodes: 10 });
    await bench.reboot();
    await bench.pools.open(request());
    expect(await linuxQuotas.list(bench.mountPoint)).toMatchObject([
      { project: 7, limits: { bytes: MIB, inodes: 10 } },
    ]);
  });

  it("open() allocates the image in full, and again what a trim gave back", async () => {
    await bench.pools.open(request());
    expect(statSync(bench.image).blocks * 512).toBeGreaterThanOrEqual(320 * MIB);
    await execa("fstrim", [bench.mountPoint]);
    expect(statSync(bench.image).blocks * 512).toBeLessThan(320 * MIB);
    await bench.pools.open(request());
    expect(statSync(bench.image).blocks * 512).toBeGreaterThanOrEqual(320 * MIB);
  });

  it("open() finds a device that is still attached, and mounts it again", async () => {
    const { device } = await bench.pools.open(request());
    using _ = await bench.deps.loops.attach(bench.image);
    expect(await bench.deps.mounts.unmount(bench.mountPoint)).toBe(true);
    expect((await new LinuxPools(bench.deps).open(request())).device).toBe(device);
    expect(await bench.mountCount()).toBe(1);
  });

  const steps: readonly PoolStep[] = [
    "allocated",
    "formatted",
    "synced",
    "placed",
    "filled",
    "attached",
    "mounted",
    "grown",
  ];
  /** What a start does itself when a step fails; beyond those a kill comes to the same. */
  const undone: readonly PoolStep[] = ["allocated", "synced", "filled", "grown"];
  it.each(undone)("open() cut short when %s comes to the same end when repeated", async (last) => {
    const cut = new LinuxPools({
      ...bench.deps,
      onStep: (step) => {
        if (step === last) throw new Error(`cut after ${step}`);
      },
    });
    await expect(cut.open(request())).rejects.toThrow(`cut after ${last}`);
    expect(await bench.pools.open(request())).toMatchObject({ bytes: 320 * MIB });
    expect(await bench.mountCount()).toBe(1);
    expect(readdirSync(bench.root).sort()).toEqual(["pool", "pool.xfs"]);
    expect(await linuxQuotas.readSupport(bench.mountPoint)).toEqual({ enforced: true });
  });

  it.each(steps)("open() killed when %s comes to the same end when repeated", async (last) => {
    const program = path.join(import.meta.dirname, "testing/pool-opener.ts");
    const wanted = [bench.image, bench.mountPoint, String(320 * MIB), last];
    const killed = await execa(process.execPath, [program, ...wanted], { reject: false });
    expect(killed.signal).toBe("SIGKILL");
    expect(await bench.pools.open(request())).toMatchObject({ bytes: 320 * MIB });
    expect(await bench.mountCount()).toBe(1);
    expect(readdirSync(bench.root).sort()).toEqual(["pool", "pool.xfs"]);
    expect(await linuxQuotas.readSupport(bench.mountPoint)).toEqual({ enforced: true });
  });

  it.each(["filled", "attached", "mounted"] as const)(
    "open() cut short when %s while growing grows when repeated",
    async (last) => {
      await bench.pools.open(request());
      const cut = new LinuxPools({
        ...bench.deps,
        onStep: (step) => {
          if (step === last) throw new Error(`cut after ${step}`);
        },
      });
      await expect(cut.open(request(420 * MIB))).rejects.toThrow(`cut after ${last}`);
      await bench.pools.open(request(420 * MIB));
      expect(await bench.mountedBytes()).toBeGreaterThan(340 * MIB);
    },
  );

  it("open() refuses what is mounted without prjquota elsewhere, naming the condition", async () => {
    await bench.pools.open(request());
    await bench.reboot();
    const { stdout: device } = await execa("losetup", ["--find", "--show", bench.image]);
    await execa("mkdir", [`${bench.root}/elsewhere`]);
    await execa("mount", [device, `${bench.root}/elsewhere`]);
    try {
      expect(await linuxQuotas.readSupport(`${bench.root}/elsewhere`)).toMatchObject({
        enforced: false,
        condition: "it is mounted without prjquota",
      });
      const error: unknown = await bench.pools.open(request()).catch((error: unknown) => error);
      expect(isFailure(error, "unsupported")).toBe(true);
      expect(String(error)).toContain(`it is mounted without prjquota; unmount ${device} wherever`);
      expect(await bench.mountCount()).toBe(0);
    } finally {
      await execa("umount", [`${bench.root}/elsewhere`]);
      await execa("losetup", ["-d", device]);
    }
  });

  it("readSupport() tells quotas that count from those that are enforced", async () => {
    await bench.pools.open(request());
    await bench.reboot();
    await execa("mkdir", ["-p", bench.mountPoint]);
    await execa("mount", ["-o", "loop,pqnoenforce", bench.image, bench.mountPoint]);
    expect(await linuxQuotas.readSupport(bench.mountPoint)).toMatchObject({
      condition: "it counts and does not limit",
    });
  });

  it("open() refuses a mount point where something else is mounted", async () => {
    await execa("mkdir", [bench.mountPoint]);
    await execa("mount", ["-t", "tmpfs", "other", bench.mountPoint]);
    const error: unknown = await bench.pools.open(request()).catch((error: unknown) => error);
    expect(isFailure(error, "conflict")).toBe(true);
    expect(String(error)).toContain('"other" is mounted there; unmount it');
    expect(bench.imageExists()).toBe(false);
  });

  it("open() refuses an image that is no XFS, and a copy of one that is mounted, and removes neither", async () => {
    const refused = async (image: string) => {
      const wanted = { ...request(), image, mountPoint: `${bench.root}/second` };
      const error: unknown = await bench.pools.open(wanted).catch((error: unknown) => error);
      expect(isFailure(error, "corrupt")).toBe(true);
      expect(existsSync(image)).toBe(true);
      await expect.poll(async () => await bench.deps.loops.find(image), { timeout: 60_000 }).toBeUndefined();
    };
    writeFileSync(`${bench.root}/noise`, Buffer.alloc(MIB, 7));
    await refused(`${bench.root}/noise`);
    await bench.pools.open(request());
    copyFileSync(bench.image, `${bench.root}/copy`);
    await refused(`${bench.root}/copy`);
  });

  it("open() makes a file system with reflinks", async () => {
    await bench.pools.open(request());
    bench.write("file", "x".repeat(MIB));
    await execa("cp", ["--reflink=always", `${bench.mountPoint}/file`, `${bench.mountPoint}/clone`]);
    expect(bench.read("clone")).toBe("x".repeat(MIB));
  });
});
