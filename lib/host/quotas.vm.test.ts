// The contract, and what else the product counts on, on a real XFS.
import { execFileSync } from "node:child_process";
import {
  linkSync,
  mkdirSync,
  mkdtempSync,
  renameSync,
  rmSync,
  statfsSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { quotasContract } from "./quotas.contract.ts";
import { linuxQuotas } from "./quotas.linux.ts";
import { openQuotaBench } from "./testing/quota-bench.ts";

const xfs = process.env["LARDER_VM_XFS"] ?? "";

quotasContract("XFS", () => openQuotaBench(xfs));

describe("linuxQuotas on XFS", () => {
  const MIB = 1024 * 1024;
  const project = 0x2000_0100;
  let root: string;
  let volume: string;

  beforeEach(async () => {
    root = mkdtempSync(path.join(xfs, "volumes-"));
    volume = path.join(root, "volume");
    mkdirSync(volume);
    await linuxQuotas.setProject(volume, project);
    await linuxQuotas.setLimits(volume, project, { bytes: 16 * MIB, inodes: 100 });
  });
  afterEach(async () => {
    rmSync(root, { recursive: true });
    await linuxQuotas.clearLimits(xfs, project);
  });

  it("setLimits() shows in statfs of the directory, bytes and inodes, as df has it", () => {
    writeFileSync(path.join(volume, "file"), Buffer.alloc(MIB, 1), { flush: true });
    const { bsize, blocks, bavail, files, ffree } = statfsSync(volume);
    expect(blocks * bsize).toBe(16 * MIB);
    expect(bavail * bsize).toBe(15 * MIB);
    expect([files, ffree]).toEqual([100, 98]);
  });

  it("setLimits() is charged for appended bytes to the last block", () => {
    const file = path.join(volume, "file");
    const chunk = Buffer.alloc(4096, 1);
    const append = () => writeFileSync(file, chunk, { flag: "a", flush: true });
    for (let n = 0; n < (15.5 * MIB) / 4096; n += 16) {
      writeFileSync(file, Buffer.alloc(16 * 4096, 1), { flag: "a", flush: true });
    }
    expect(() => {
      for (let n = 0; n < 200; n++) append();
    }).toThrow(expect.objectContaining({ code: "ENOSPC" }));
    expect(statfsSync(volume).bavail).toBeLessThanOrEqual(8);
  });

  it("setProject() makes a rename into the project EXDEV, and a rename within possible", () => {
    writeFileSync(path.join(root, "outside"), "");
    writeFileSync(path.join(volume, "inside"), "");
    renameSync(path.join(volume, "inside"), path.join(volume, "renamed"));
    expect(() => renameSync(path.join(root, "outside"), path.join(volume, "in"))).toThrow(
      expect.objectContaining({ code: "EXDEV" }),
    );
  });

  it("readStrays() counts each inode once, opens no fifo and no device, and follows nothing", async () => {
    const out = path.join(volume, "out");
    mkdirSync(out);
    await linuxQuotas.setProject(out, 0);
    writeFileSync(path.join(out, "file"), Buffer.alloc(MIB, 1), { flush: true });
    linkSync(path.join(out, "file"), path.join(out, "again"));
    symlinkSync(root, path.join(volume, "up"));
    execFileSync("mkfifo", [path.join(out, "fifo")]);
    execFileSync("mknod", [path.join(out, "null"), "c", "1", "3"]);
    const strays = await linuxQuotas.readStrays(volume, project, new AbortController().signal);
    expect(strays.inodes).toBe(2);
    expect(strays.bytes).toBeGreaterThanOrEqual(MIB);
    expect(strays.bytes).toBeLessThan(2 * MIB);
  });

  it("setProject() stays with what is renamed out of the project", async () => {
    mkdirSync(path.join(volume, "upper"));
    renameSync(path.join(volume, "upper"), path.join(root, "layer"));
    expect(await linuxQuotas.readProject(path.join(root, "layer"))).toBe(project);
    expect((await linuxQuotas.readQuota(xfs, project)).usedInodes).toBe(2);
  });
});
