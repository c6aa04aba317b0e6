import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { afterAll, afterEach, beforeEach, describe, expect, it } from "vitest";
import { isFailure } from "../core/failure.ts";
import { quotasContract } from "./quotas.contract.ts";
import { MemoryQuotas } from "./quotas.fake.ts";
import { linuxQuotas } from "./quotas.linux.ts";
import { quotaRemedies } from "./quotas.ts";
import { type LinuxPoolBench, openPoolBench } from "./testing/pool-bench.ts";
import { openQuotaBench } from "./testing/quota-bench.ts";

quotasContract("memory twin", () => {
  const quotas = new MemoryQuotas();
  quotas.makeDirectory("/root");
  return {
    quotas,
    root: "/root",
    makeDirectory: (target) => quotas.makeDirectory(target),
    writeFile: (target, bytes) => quotas.writeFile(target, bytes),
    remove: (target) => quotas.remove(target),
    dispose: () => quotas.remove("/root"),
  };
});

describe("MemoryQuotas", () => {
  it("without support refuses limits, and says which condition fails", async () => {
    const remedy = quotaRemedies["it is not XFS"];
    const quotas = new MemoryQuotas({ enforced: false, condition: "it is not XFS", remedy });
    await expect(quotas.setLimits("/", 1, { bytes: 1, inodes: 1 })).rejects.toThrow(
      /it is not XFS; keep the root/,
    );
  });
});

describe("linuxQuotas on a file system that is not XFS", () => {
  let folder: string;
  beforeEach(() => {
    // Not the folder of temporary files, which may well lie on XFS.
    folder = mkdtempSync(path.join("/dev/shm", "larder-quotas-"));
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  it("readSupport() names the condition and the remedy", async () => {
    expect(await linuxQuotas.readSupport(folder)).toEqual({
      enforced: false,
      condition: "it is not XFS",
      remedy: quotaRemedies["it is not XFS"],
    });
  });

  it("setLimits(), readQuota() and list() refuse as unsupported, naming both", async () => {
    const calls = [
      linuxQuotas.setLimits(folder, 1, { bytes: 4096, inodes: 1 }),
      linuxQuotas.clearLimits(folder, 1),
      linuxQuotas.readQuota(folder, 1),
      linuxQuotas.list(folder),
    ];
    for (const call of calls) {
      const error: unknown = await call.catch((error: unknown) => error);
      expect(isFailure(error, "unsupported")).toBe(true);
      expect(String(error)).toContain(`"${folder}": it is not XFS; keep the root on XFS`);
    }
  });

  it("setProject() never follows a symbolic link", async () => {
    mkdirSync(path.join(folder, "real"));
    symlinkSync("real", path.join(folder, "link"));
    await expect(linuxQuotas.setProject(path.join(folder, "link"), 7)).rejects.toEqual(
      expect.toSatisfy((error) => isFailure(error, "conflict")),
    );
  });

  it("leaves no descriptor open, whatever fails", async () => {
    const before = openDescriptors();
    for (let n = 0; n < 50; n++) {
      await linuxQuotas.list(folder).catch(() => {});
      await linuxQuotas.readSupport(folder);
      await linuxQuotas.readProject(path.join(folder, "missing")).catch(() => {});
    }
    expect(openDescriptors()).toBeLessThanOrEqual(before + 1);
  });
});

function openDescriptors(): number {
  return readdirSync("/proc/self/fd").length;
}

/** A small pool, where this kernel has quotas and the test may make one. */
async function openXfsHere(): Promise<LinuxPoolBench | undefined> {
  if (process.getuid?.() !== 0 || !existsSync("/dev/loop-control")) return undefined;
  const bench = openPoolBench(os.tmpdir());
  const { image, mountPoint } = bench;
  try {
    await bench.pools.open({ image, mountPoint, bytes: 320 * 1024 * 1024, floorBytes: 0 });
    return bench;
  } catch (error) {
    await bench[Symbol.asyncDispose]();
    // No quotas, no mkfs.xfs, no room: then the machine of tools/vm is where this is tested.
    if (isFailure(error)) return undefined;
    throw error;
  }
}

const here = await openXfsHere();

const onThisKernel =
  here === undefined
    ? "on this kernel, where they cannot be had (no XFS quotas, loop devices or mkfs.xfs): make test-vm has them"
    : "on this kernel";
describe.runIf(here !== undefined)(onThisKernel, () => {
  afterAll(() => here?.[Symbol.asyncDispose]());
  quotasContract("XFS", () => openQuotaBench(here?.mountPoint ?? ""));
});
