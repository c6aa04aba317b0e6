// What every implementation of Mounts keeps.
import { mkdir, symlink, writeFile } from "node:fs/promises";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { decodePath } from "../core/path-bytes.ts";
import type { MountFlags, Mounts } from "./mounts.ts";

/** One implementation on an empty directory of its own, which closing takes away with all that is mounted in it. */
export type MountsBench = AsyncDisposable & {
  readonly mounts: Mounts;
  readonly root: string;
  /** Keeps what is mounted there busy until it is disposed of. */
  hold(target: string): Disposable;
};

const locked: MountFlags = { readOnly: true, noSuid: true, noDev: true };
const open: MountFlags = { readOnly: false, noSuid: false, noDev: false };

export function mountsContract(name: string, openBench: () => Promise<MountsBench>): void {
  describe(name, () => {
    let bench: MountsBench;
    let mounts: Mounts;
    const at = (...names: string[]) => path.join(bench.root, ...names);
    const directory = async (...names: string[]) => {
      await mkdir(at(...names), { recursive: true });
      return at(...names);
    };
    const file = async (name: string) => {
      await writeFile(at(name), name);
      return at(name);
    };

    beforeEach(async () => {
      bench = await openBench();
      mounts = bench.mounts;
    });
    afterEach(() => bench[Symbol.asyncDispose]());

    describe("bind()", () => {
      it("shows the source at the target, with exactly the flags asked for", async () => {
        const [source, target, other] = [await directory("s"), await directory("t"), await directory("u")];
        await mounts.bind({ source, target, flags: locked });
        await mounts.bind({ source, target: other, flags: open });
        expect(await mounts.at(target)).toMatchObject([
          { target, readOnly: true, noSuid: true, noDev: true },
        ]);
        expect(await mounts.at(other)).toMatchObject([{ readOnly: false, noSuid: false, noDev: false }]);
      });

      it("shows a file at a file", async () => {
        const target = await file("t");
        await mounts.bind({ source: await file("s"), target, flags: locked });
        expect(await mounts.at(target)).toHaveLength(1);
      });

      it.each([
        ["a directory at a file", directory, file],
        ["a file at a directory", file, directory],
      ])("refuses %s", async (_, source, target) => {
        const request = { source: await source("s"), target: await target("t"), flags: locked };
        await expect(mounts.bind(request)).rejects.toMatchObject({ reason: "unsupported" });
        expect(await mounts.at(request.target)).toEqual([]);
      });

      it("refuses a source or target that is not there, naming both", async () => {
        const there = await directory("d");
        for (const [source, target] of [
          [at("none"), there],
          [there, at("none")],
        ] as const) {
          const failure = {
            reason: "not-found",
            message: expect.stringContaining(`"${source}" at "${target}"`),
          };
          await expect(mounts.bind({ source, target, flags: locked })).rejects.toMatchObject(failure);
        }
        expect(await mounts.at(there)).toEqual([]);
      });

      it.each([
        ["a directory", () => directory("s")],
        ["a file", () => file("s")],
      ])("refuses a target that is a symlink to %s, and leaves what it points at alone", async (_, make) => {
        const source = await make();
        await symlink(source, at("link"));
        const refused = mounts.bind({ source, target: at("link"), flags: locked });
        await expect(refused).rejects.toMatchObject({ reason: "conflict" });
        expect(await mounts.at(source)).toEqual([]);
        expect(await mounts.at(at("link"))).toEqual([]);
      });

      it.each([
        ["spaces", "a  b "],
        ["a newline", "a\nb"],
        ["a tab and a backslash", "a\t\\040b"],
        ["a hyphen alone", "a - b"],
        ["UTF-8", "é 日本 😀"],
        ["a quote", `it's "so"`],
      ])("takes paths with %s", async (_, name) => {
        const [source, target] = [await directory("s", name), await directory("t", name)];
        await mounts.bind({ source, target, flags: locked });
        expect(await mounts.at(target)).toMatchObject([{ target }]);
        expect(await mounts.unmount(target)).toBe(true);
      });

      it("takes paths that are not UTF-8, and never mistakes one for another", async () => {
        const source = await directory("s");
        const bytes = [0xff, 0xfe].map((byte) =>
          Buffer.concat([Buffer.from(`${bench.root}/t-`), Buffer.of(byte)]),
        );
        const [one, two] = bytes.map(decodePath) as [string, string];
        for (const name of bytes) await mkdir(name);
        await mounts.bind({ source, target: one, flags: locked });
        expect(await mounts.at(one)).toMatchObject([{ target: one }]);
        expect(await mounts.at(two)).toEqual([]);
        expect(await mounts.unmount(two)).toBe(false);
        expect(await mounts.unmount(one)).toBe(true);
      });

      it("stacks when it is repeated, and unmount() takes one at a time from the top", async () => {
        const [source, target] = [await directory("s"), await directory("t")];
        await mounts.bind({ source, target, flags: open });
        await mounts.bind({ source, target, flags: locked });
        expect((await mounts.at(target)).map(({ readOnly }) => readOnly)).toEqual([false, true]);
        expect(await mounts.unmount(target)).toBe(true);
        expect((await mounts.at(target)).map(({ readOnly }) => readOnly)).toEqual([false]);
        expect(await mounts.unmount(target)).toBe(true);
        expect(await mounts.unmount(target)).toBe(false);
      });

      it("mounts at a target that is reached through a symlink above it", async () => {
        const [source, target] = [await directory("s"), await directory("real", "t")];
        await symlink(at("real"), at("link"));
        await mounts.bind({ source, target: at("link", "t"), flags: locked });
        expect(await mounts.at(target)).toHaveLength(1);
        expect(await mounts.at(at("link", "t"))).toHaveLength(1);
        expect(await mounts.unmount(at("link", "t"))).toBe(true);
        expect(await mounts.at(target)).toEqual([]);
      });

      it("does its work at many targets at once", async () => {
        const source = await directory("s");
        const targets = await Promise.all(Array.from({ length: 30 }, (_, n) => directory(`t${n}`)));
        await Promise.all(targets.map((target) => mounts.bind({ source, target, flags: locked })));
        const table = (await mounts.list()).map(({ target }) => target);
        expect(table).toEqual(expect.arrayContaining(targets));
        expect(await Promise.all(targets.map((target) => mounts.unmount(target)))).toEqual(
          targets.map(() => true),
        );
      });
    });

    describe("overlay()", () => {
      it("mounts layers read-only without an upper", async () => {
        const lower = [await directory("a"), await directory("b")];
        const target = await directory("t");
        await mounts.overlay({ lower, target, flags: locked });
        expect(await mounts.at(target)).toMatchObject([
          { target, type: "overlay", readOnly: true, noSuid: true, noDev: true },
        ]);
        expect(await mounts.unmount(target)).toBe(true);
      });

      it("mounts one layer under an upper", async () => {
        const target = await directory("t");
        const request = {
          lower: [await directory("a")],
          upper: await directory("u"),
          work: await directory("w"),
        };
        await mounts.overlay({ ...request, target, flags: open });
        expect(await mounts.at(target)).toMatchObject([{ type: "overlay", readOnly: false }]);
      });

      it.each([
        ["a single layer without an upper", { lower: ["a"] }, "unsupported"],
        ["a layer that is not there", { lower: ["a", "none"] }, "not-found"],
        ["an upper that is not there", { lower: ["a"], upper: "none", work: "w" }, "not-found"],
      ] as const)("refuses %s and mounts nothing", async (_, names, reason) => {
        for (const name of ["a", "w", "t"]) await directory(name);
        const ends = "upper" in names ? { upper: at(names.upper), work: at(names.work) } : {};
        const request = {
          lower: names.lower.map((name) => at(name)),
          ...ends,
          target: at("t"),
          flags: locked,
        };
        await expect(mounts.overlay(request)).rejects.toMatchObject({
          reason,
          message: expect.stringContaining(at("t")),
        });
        expect(await mounts.at(at("t"))).toEqual([]);
      });

      it("refuses a target that is not there or a symlink", async () => {
        const lower = [await directory("a"), await directory("b")];
        await symlink(at("a"), at("link"));
        const to = (name: string) => mounts.overlay({ lower, target: at(name), flags: locked });
        await expect(to("none")).rejects.toMatchObject({ reason: "not-found" });
        await expect(to("link")).rejects.toMatchObject({ reason: "conflict" });
      });
    });

    it.each(["", "relative", "/a/", "/a/.", "/a/../b", "/a//b"])(
      "refuses the path %j for a mount",
      async (target) => {
        const invalid = { reason: "invalid", message: expect.stringContaining(`"${target}"`) };
        const lower = [await directory("a"), await directory("b")];
        await expect(mounts.bind({ source: at("a"), target, flags: locked })).rejects.toMatchObject(invalid);
        await expect(mounts.overlay({ lower, target, flags: locked })).rejects.toMatchObject(invalid);
        await expect(mounts.unmount(target)).rejects.toMatchObject(invalid);
        await expect(mounts.at(target)).rejects.toMatchObject(invalid);
      },
    );

    it("unmount() with a slash or dot behind a symlink leaves what that points at mounted", async () => {
      const [source, target] = [await directory("s"), await directory("t")];
      await mounts.bind({ source, target, flags: locked });
      await symlink(target, at("link"));
      for (const end of ["/", "/."])
        await expect(mounts.unmount(at("link") + end)).rejects.toMatchObject({ reason: "invalid" });
      expect(await mounts.at(target)).toHaveLength(1);
    });

    describe("unmount()", () => {
      it.each([
        ["a directory that is no mount", async () => directory("d")],
        ["a file that is no mount", async () => file("f")],
        ["a path that is not there", async () => at("none")],
        ["a path under a directory that is not there", async () => at("none", "deeper")],
        ["a path under a file", async () => path.join(await file("f"), "deeper")],
      ])("answers false for %s", async (_, make) => {
        expect(await mounts.unmount(await make())).toBe(false);
      });

      it("answers false for what is in a mount, or a symlink to one, and leaves that mounted", async () => {
        const [source, target] = [await directory("s"), await directory("t")];
        await directory("s", "inner");
        await mounts.bind({ source, target, flags: locked });
        await symlink(target, at("link"));
        expect(await mounts.unmount(path.join(target, "inner"))).toBe(false);
        expect(await mounts.unmount(at("link"))).toBe(false);
        expect(await mounts.at(target)).toHaveLength(1);
      });

      it("refuses a busy one by name, leaves it as it was, and takes it away once it is free", async () => {
        const target = await directory("t");
        await mounts.bind({ source: await directory("s"), target, flags: locked });
        {
          using _held = bench.hold(target);
          const failure = { reason: "in-use", message: expect.stringContaining(`"${target}"`) };
          await expect(mounts.unmount(target)).rejects.toMatchObject(failure);
          expect(await mounts.at(target)).toHaveLength(1);
        }
        expect(await mounts.unmount(target)).toBe(true);
      });

      it("asked twice at once, takes one mount away once", async () => {
        const target = await directory("t");
        await mounts.bind({ source: await directory("s"), target, flags: locked });
        const answers = await Promise.all([mounts.unmount(target), mounts.unmount(target)]);
        expect(answers.filter((taken) => taken)).toHaveLength(1);
      });
    });
  });
}
