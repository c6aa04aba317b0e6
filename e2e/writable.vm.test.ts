// Writable inline volumes on real limits: the plugin as a process, its root on an XFS with project quotas.
import { randomBytes } from "node:crypto";
import { mkdtemp, readdir, rm, statfs, writeFile } from "node:fs/promises";
import path from "node:path";
import { execa } from "execa";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { openRegistryDouble, type RegistryDouble } from "../testing/registry-double.ts";
import { putFiles } from "./artifact.ts";
import { openPlugin, type Plugin } from "./plugin.ts";
import { kept, refusalOf } from "./remains.ts";
import { type PodVolume, podVolume } from "./volume.ts";

const xfs = process.env["LARDER_VM_XFS"] ?? "";
const MIB = 2 ** 20;

let folder = "";
let registry: RegistryDouble;
let plugin: Plugin;

beforeAll(async () => {
  folder = await mkdtemp(path.join(xfs, "writable-"));
  registry = await openRegistryDouble();
  putFiles(registry, { "big.bin": randomBytes(6 * MIB), "a.txt": "a" }, { tags: ["v1"] });
  plugin = await openPlugin({
    folder,
    settings: { registries: [{ match: registry.host, plainHttp: true }], quota: "required" },
  });
});
afterAll(async () => {
  await plugin[Symbol.asyncDispose]();
  await registry[Symbol.asyncDispose]();
  await rm(folder, { recursive: true });
});

function writable(attributes: Readonly<Record<string, string>>): Promise<PodVolume> {
  const said = { reference: `${registry.host}/team/it:v1`, writable: "true", ...attributes };
  return podVolume(plugin, { attributes: said, writable: true });
}

/** How many files of so many bytes fit. */
async function fill(volume: PodVolume, bytes: number, most: number): Promise<number> {
  for (let count = 0; count < most; count++) {
    try {
      await writeFile(path.join(volume.target, `fill-${count}`), Buffer.alloc(bytes, 1), { flush: true });
    } catch (error) {
      expect(error).toMatchObject({ code: "ENOSPC" });
      return count;
    }
  }
  return most;
}

async function usageOf(volume: PodVolume) {
  const request = { volume_id: volume.id, volume_path: volume.target };
  const { usage } = await plugin.client.call("Node", "NodeGetVolumeStats", request);
  const [bytes, inodes] = usage as ReadonlyArray<Readonly<Record<"total" | "used" | "available", string>>>;
  return { bytes, inodes };
}

/** Projects of which anything is left: used or limited. */
async function projectsLeft(): Promise<readonly string[]> {
  const { stdout } = await execa("xfs_quota", ["-x", "-c", "report -p -n -N -i", xfs]);
  return stdout.split("\n").filter((line) => line.trim() !== "" && !line.startsWith("#0 "));
}

describe("a writable volume on real limits", () => {
  it("stops at its bytes, shows them in df and stats, and leaves nothing of its project", async () => {
    const volume = await writable({ size: "8Mi" });
    await volume.publish();
    const { bsize, blocks } = await statfs(volume.target);
    expect(blocks * bsize).toBe(8 * MIB);
    const before = await usageOf(volume);
    expect(Number(before.bytes?.total)).toBe(8 * MIB);
    const chunks = await fill(volume, MIB, 20);
    expect(chunks).toBeGreaterThanOrEqual(6);
    expect(chunks).toBeLessThanOrEqual(8);
    expect(Number((await usageOf(volume)).bytes?.used)).toBeGreaterThanOrEqual(chunks * MIB);
    await volume.unpublish();
    expect(await kept(plugin, "volumes")).toEqual([]);
    await vi.waitFor(async () => expect(await projectsLeft()).toEqual([]), { timeout: 120_000 });
  });

  it("stops at its files, each volume at its own", async () => {
    const [few, more] = [await writable({ inodes: "20" }), await writable({ inodes: "200" })];
    await few.publish();
    await more.publish();
    const made = await fill(few, 1, 100);
    // The directories of the volume itself are counted.
    expect(made).toBeLessThan(20);
    expect(made).toBeGreaterThan(10);
    expect(await fill(more, 1, 100)).toBe(100);
    expect(Number((await usageOf(few)).inodes?.total)).toBe(20);
    await few.unpublish();
    await more.unpublish();
  });

  it("as a copy is charged for its base, and refused with both sizes where that does not fit", async () => {
    const fits = await writable({ layout: "copy", size: "8Mi" });
    await fits.publish();
    expect((await readdir(fits.target)).sort()).toEqual(["a.txt", "big.bin"]);
    expect(await fill(fits, MIB, 20)).toBeLessThanOrEqual(2);
    await fits.unpublish();
    const small = await writable({ layout: "copy", size: "2Mi" });
    const refusal = await refusalOf(small.publish());
    expect(refusal.code).toBe("OUT_OF_RANGE");
    expect(refusal.message).toMatch(/it starts from 6(\.\d+)? MiB, and holds at most 2 MiB/);
    expect(await kept(plugin, "volumes")).toEqual([]);
    await vi.waitFor(async () => expect(await projectsLeft()).toEqual([]), { timeout: 120_000 });
  });
});

describe("what its pod took out of its project", () => {
  it("counts as used in the stats, and is told in the log", async () => {
    const volume = await writable({ size: "8Mi" });
    await volume.publish();
    const out = path.join(volume.target, "out");
    await execa("mkdir", [out]);
    await execa("chattr", ["-p", "0", out]);
    await writeFile(path.join(out, "big"), Buffer.alloc(20 * MIB, 1), { flush: true });
    await vi.waitFor(
      async () => expect(Number((await usageOf(volume)).bytes?.used)).toBeGreaterThanOrEqual(20 * MIB),
      { timeout: 120_000 },
    );
    expect(plugin.log.some((line) => line.includes("out of the limit of its volume"))).toBe(true);
    await volume.unpublish();
  });
});
