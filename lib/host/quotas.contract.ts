// What every implementation of project quotas does.
import path from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { isFailure, type Reason } from "../core/failure.ts";
import { LAST_PROJECT, type Quotas } from "./quotas.ts";

/** An empty directory on a file system with quotas, and what pods would do in it. */
export type QuotaBench = {
  readonly quotas: Quotas;
  readonly root: string;
  makeDirectory(path: string): void;
  /** Throws with the code ENOSPC where a limit stops it. */
  writeFile(path: string, bytes: number): void;
  /** Whatever is at the path and below. */
  remove(path: string): void;
  dispose(): void;
};

const MIB = 1024 * 1024;
const A = 0x20000000;
const B = 0x20000001;

const failing = (reason: Reason) => expect.toSatisfy((error) => isFailure(error, reason));
const stopped = expect.objectContaining({ code: "ENOSPC" });

export function quotasContract(name: string, open: () => QuotaBench): void {
  describe(`quotas: ${name}`, () => {
    let bench: QuotaBench;
    let quotas: Quotas;
    const at = (...names: string[]) => [bench.root, ...names].join("/");
    const volume = async (project: number, name: string) => {
      bench.makeDirectory(at(name));
      await quotas.setProject(at(name), project);
    };
    /** How many chunks fit before a limit stops them. */
    const fill = (directory: string, chunkBytes: number, most: number) => {
      for (let count = 0; count < most; count++) {
        try {
          bench.writeFile(`${directory}/chunk-${count}`, chunkBytes);
        } catch (error) {
          expect(error).toEqual(stopped);
          return count;
        }
      }
      return most;
    };

    beforeEach(() => {
      bench = open();
      quotas = bench.quotas;
    });
    afterEach(async () => {
      const parent = path.dirname(bench.root);
      bench.dispose();
      for (const { project } of await quotas.list(parent)) await quotas.clearLimits(parent, project);
      // XFS takes its time to give back what was removed, and the next test counts.
      await expect.poll(async () => await quotas.list(parent), { timeout: 30_000, interval: 20 }).toEqual([]);
    });

    it("readSupport() says that limits are enforced", async () => {
      expect(await quotas.readSupport(bench.root)).toEqual({ enforced: true });
    });

    it("readProject() is 0 for a directory nobody has put in one", async () => {
      bench.makeDirectory(at("plain"));
      expect(await quotas.readProject(at("plain"))).toBe(0);
    });

    it.each([1, A, LAST_PROJECT])(
      "setProject() puts a directory in the project %i, again and again",
      async (project) => {
        await volume(project, "v");
        await quotas.setProject(at("v"), project);
        expect(await quotas.readProject(at("v"))).toBe(project);
      },
    );

    it("setProject() goes on to what is made inside from then on", async () => {
      bench.makeDirectory(at("v"));
      bench.makeDirectory(at("v", "before"));
      await quotas.setProject(at("v"), A);
      bench.makeDirectory(at("v", "after"));
      bench.makeDirectory(at("v", "after", "deep"));
      expect(await quotas.readProject(at("v", "before"))).toBe(0);
      expect(await quotas.readProject(at("v", "after", "deep"))).toBe(A);
    });

    it("setProject() moves a directory to another project, and out with 0", async () => {
      await volume(A, "v");
      await quotas.setProject(at("v"), B);
      expect((await quotas.readQuota(bench.root, A)).usedInodes).toBe(0);
      expect((await quotas.readQuota(bench.root, B)).usedInodes).toBe(1);
      await quotas.setProject(at("v"), 0);
      bench.makeDirectory(at("v", "inside"));
      expect(await quotas.readProject(at("v", "inside"))).toBe(0);
      expect((await quotas.readQuota(bench.root, B)).usedInodes).toBe(0);
    });

    it("setLimits() is read back, in whole blocks", async () => {
      await quotas.setLimits(bench.root, A, { bytes: 10 * MIB, inodes: 1000 });
      await quotas.setLimits(bench.root, B, { bytes: 10 * MIB - 4095, inodes: 3 });
      expect(await quotas.readQuota(bench.root, A)).toEqual({
        project: A,
        usedBytes: 0,
        usedInodes: 0,
        limits: { bytes: 10 * MIB, inodes: 1000 },
      });
      expect((await quotas.readQuota(bench.root, B)).limits).toEqual({ bytes: 10 * MIB, inodes: 3 });
    });

    it("setLimits() replaces the limits there were, upwards and downwards", async () => {
      for (const bytes of [4 * MIB, 8 * MIB, 2 * MIB, 2 * MIB]) {
        await quotas.setLimits(bench.root, A, { bytes, inodes: 100 });
        expect((await quotas.readQuota(bench.root, A)).limits).toEqual({ bytes, inodes: 100 });
      }
    });

    it("setLimits() stops what is written at the bytes, within one chunk, and reads what was", async () => {
      await volume(A, "v");
      await quotas.setLimits(bench.root, A, { bytes: 8 * MIB, inodes: 1000 });
      const chunks = fill(at("v"), MIB / 2, 100);
      expect(chunks).toBeGreaterThanOrEqual(14);
      expect(chunks).toBeLessThanOrEqual(16);
      const { usedBytes } = await quotas.readQuota(bench.root, A);
      expect(usedBytes).toBeGreaterThanOrEqual((chunks * MIB) / 2);
      expect(usedBytes).toBeLessThanOrEqual(8 * MIB);
    });

    it("setLimits() stops what is made at the inodes, the directory itself counted", async () => {
      await volume(A, "v");
      await quotas.setLimits(bench.root, A, { bytes: 8 * MIB, inodes: 10 });
      expect(fill(at("v"), 0, 100)).toBe(9);
      expect((await quotas.readQuota(bench.root, A)).usedInodes).toBe(10);
    });

    it("setLimits() may be lower than what is used: nothing more fits, and raised again it does", async () => {
      await volume(A, "v");
      bench.writeFile(at("v", "big"), 2 * MIB);
      await quotas.setLimits(bench.root, A, { bytes: MIB, inodes: 100 });
      expect(() => bench.writeFile(at("v", "more"), 4096)).toThrow(stopped);
      await quotas.setLimits(bench.root, A, { bytes: 4 * MIB, inodes: 100 });
      bench.writeFile(at("v", "then"), 4096);
      expect((await quotas.readQuota(bench.root, A)).usedBytes).toBeGreaterThan(2 * MIB);
    });

    it("setLimits() of one project leaves its neighbour alone", async () => {
      await volume(A, "full");
      await volume(B, "free");
      await quotas.setLimits(bench.root, A, { bytes: MIB, inodes: 100 });
      await quotas.setLimits(bench.root, B, { bytes: 4 * MIB, inodes: 100 });
      expect(fill(at("full"), MIB / 4, 100)).toBeLessThanOrEqual(4);
      bench.writeFile(at("free", "file"), 2 * MIB);
      expect((await quotas.readQuota(bench.root, B)).usedBytes).toBeGreaterThanOrEqual(2 * MIB);
    });

    it("setLimits() for fifty projects at once sets each its own", async () => {
      const projects = Array.from({ length: 50 }, (_, n) => A + n);
      await Promise.all(
        projects.map((project) =>
          quotas.setLimits(bench.root, project, { bytes: MIB, inodes: project - A + 1 }),
        ),
      );
      const listed = await quotas.list(bench.root);
      expect(listed.map(({ project, limits }) => [project, limits?.inodes])).toEqual(
        projects.map((project, n) => [project, n + 1]),
      );
    });

    it("clearLimits() lets writes through again, and may be repeated", async () => {
      await volume(A, "v");
      await quotas.setLimits(bench.root, A, { bytes: MIB, inodes: 2 });
      bench.writeFile(at("v", "one"), 4096);
      expect(() => bench.writeFile(at("v", "two"), 4096)).toThrow(stopped);
      await quotas.clearLimits(bench.root, A);
      await quotas.clearLimits(bench.root, A);
      bench.writeFile(at("v", "two"), MIB);
      expect(await quotas.readQuota(bench.root, A)).not.toHaveProperty("limits");
    });

    it("clearLimits() of what is not used makes the project unheard of", async () => {
      await quotas.setLimits(bench.root, A, { bytes: MIB, inodes: 10 });
      await quotas.clearLimits(bench.root, A);
      expect(await quotas.list(bench.root)).toEqual([]);
      expect(await quotas.readQuota(bench.root, A)).toEqual({ project: A, usedBytes: 0, usedInodes: 0 });
    });

    it("readQuota() falls to nothing once all is removed, the limits staying", async () => {
      await volume(A, "v");
      await quotas.setLimits(bench.root, A, { bytes: 4 * MIB, inodes: 100 });
      bench.writeFile(at("v", "file"), MIB);
      bench.remove(at("v"));
      await expect
        .poll(async () => await quotas.readQuota(bench.root, A), { timeout: 30_000, interval: 20 })
        .toEqual({ project: A, usedBytes: 0, usedInodes: 0, limits: { bytes: 4 * MIB, inodes: 100 } });
    });

    const quiet = new AbortController().signal;

    it("readStrays() counts what was taken out of the project, at any depth, and nothing else", async () => {
      await volume(A, "v");
      bench.writeFile(at("v", "file"), MIB);
      bench.makeDirectory(at("v", "out"));
      bench.makeDirectory(at("v", "elsewhere"));
      expect(await quotas.readStrays(at("v"), A, quiet)).toEqual({ bytes: 0, inodes: 0 });
      await quotas.setProject(at("v", "out"), 0);
      await quotas.setProject(at("v", "elsewhere"), B);
      bench.makeDirectory(at("v", "out", "deep"));
      bench.writeFile(at("v", "out", "deep", "big"), 2 * MIB);
      bench.writeFile(at("v", "elsewhere", "small"), 4096);
      const strays = await quotas.readStrays(at("v"), A, quiet);
      expect(strays.inodes).toBe(5);
      // Directories of some file systems take bytes too.
      expect(strays.bytes).toBeGreaterThanOrEqual(2 * MIB + 4096);
      expect(strays.bytes).toBeLessThan(3 * MIB);
    });

    it("readStrays() finds all of a volume that was taken out at its top", async () => {
      await volume(A, "v");
      await quotas.setProject(at("v"), 0);
      bench.writeFile(at("v", "file"), MIB);
      expect((await quotas.readStrays(at("v"), A, quiet)).inodes).toBe(2);
    });

    it("readStrays() stops when it is told to", async () => {
      await volume(A, "v");
      const reason = new Error("the plugin stops");
      await expect(quotas.readStrays(at("v"), A, AbortSignal.abort(reason))).rejects.toBe(reason);
    });

    it("list() holds what is limited, what is only used, and not 0, in order", async () => {
      await volume(A + 7, "used");
      await volume(0, "plain");
      await quotas.setLimits(bench.root, B, { bytes: MIB, inodes: 10 });
      await quotas.setLimits(bench.root, LAST_PROJECT, { bytes: MIB, inodes: 10 });
      const listed = await quotas.list(bench.root);
      expect(listed.map(({ project }) => project)).toEqual([B, A + 7, LAST_PROJECT]);
      expect(listed.map(({ limits }) => limits?.inodes)).toEqual([10, undefined, 10]);
      expect(listed[1]?.usedInodes).toBe(1);
    });

    it.each([0, -1, 1.5, LAST_PROJECT + 1, Number.NaN])(
      "setLimits() refuses the project %d",
      async (project) => {
        const limits = { bytes: MIB, inodes: 10 };
        await expect(quotas.setLimits(bench.root, project, limits)).rejects.toEqual(failing("invalid"));
        await expect(quotas.clearLimits(bench.root, project)).rejects.toEqual(failing("invalid"));
      },
    );

    it.each([
      { bytes: 0, inodes: 1 },
      { bytes: 1, inodes: 0 },
      { bytes: -1, inodes: 1 },
      { bytes: 1.5, inodes: 1 },
      { bytes: Number.POSITIVE_INFINITY, inodes: 1 },
    ])("setLimits() refuses $bytes bytes and $inodes inodes, and changes nothing", async (limits) => {
      await expect(quotas.setLimits(bench.root, A, limits)).rejects.toEqual(failing("invalid"));
      expect(await quotas.list(bench.root)).toEqual([]);
    });

    it("setProject() refuses a number that is no project", async () => {
      await expect(quotas.setProject(bench.root, -1)).rejects.toEqual(failing("invalid"));
      await expect(quotas.setProject(bench.root, LAST_PROJECT + 1)).rejects.toEqual(failing("invalid"));
      expect(await quotas.readProject(bench.root)).toBe(0);
    });

    it("each call refuses a path that does not exist, or is a file", async () => {
      bench.writeFile(at("file"), 10);
      const calls = (path: string) => [
        quotas.readSupport(path),
        quotas.setProject(path, A),
        quotas.readProject(path),
        quotas.setLimits(path, A, { bytes: MIB, inodes: 10 }),
        quotas.clearLimits(path, A),
        quotas.readQuota(path, A),
        quotas.readStrays(path, A, quiet),
        quotas.list(path),
      ];
      for (const call of calls(at("missing"))) await expect(call).rejects.toEqual(failing("not-found"));
      for (const call of calls(at("file"))) await expect(call).rejects.toEqual(failing("conflict"));
    });
  });
}
