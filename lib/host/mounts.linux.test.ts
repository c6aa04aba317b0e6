import { closeSync, mkdtempSync, openSync, realpathSync, rmSync } from "node:fs";
import { mkdir, readdir, readFile, rename, rm, rmdir, symlink, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { execa } from "execa";
import { afterAll, afterEach, beforeEach, describe, expect, it } from "vitest";
import { encodePath } from "../core/path-bytes.ts";
import { BlockingThreads } from "./blocking.ts";
import { Directory } from "./directory.ts";
import { type MountsBench, mountsContract } from "./mounts.contract.ts";
import { LinuxMounts } from "./mounts.linux.ts";
import { openHangingMount } from "./testing/hanging-mount.ts";
import { isPrivileged } from "./testing/privileged.ts";
import { listXattrs } from "./xattrs.ts";

const blocking = new BlockingThreads({ patienceMs: 1000 });
const mounts = new LinuxMounts(blocking);
const locked = { readOnly: true, noSuid: true, noDev: true };
const free = { readOnly: false, noSuid: false, noDev: false };
const privileged = isPrivileged();

afterAll(() => blocking[Symbol.asyncDispose]());

async function openBench(): Promise<MountsBench> {
  // On a tmpfs of its own, so that an upper is possible wherever the tests run, and nothing outlives it.
  const root = realpathSync(mkdtempSync(path.join(os.tmpdir(), "larder-mounts-")));
  await execa("mount", ["-t", "tmpfs", "-o", "mode=755", "tmpfs", root]);
  return {
    mounts,
    root,
    hold(target) {
      const fd = openSync(Buffer.from(encodePath(target)), "r");
      return { [Symbol.dispose]: () => closeSync(fd) };
    },
    async [Symbol.asyncDispose]() {
      const within = (await mounts.list()).filter(({ target }) => target.startsWith(`${root}/`));
      for (const { target } of within.toReversed()) await mounts.unmount(target);
      expect(await mounts.unmount(root)).toBe(true);
      rmSync(root, { recursive: true });
    },
  };
}

describe.runIf(privileged)("on this kernel", () => {
  mountsContract("LinuxMounts", openBench);

  let bench: MountsBench;
  const at = (...names: string[]) => path.join(bench.root, ...names);
  const directories = async (...names: string[]) => {
    for (const name of names) await mkdir(at(name), { recursive: true });
  };
  beforeEach(async () => {
    bench = await openBench();
  });
  afterEach(() => bench[Symbol.asyncDispose]());

  describe("LinuxMounts.bind()", () => {
    it("makes writing fail with EROFS in the target and leaves the source writable", async () => {
      await directories("s", "t");
      await mounts.bind({ source: at("s"), target: at("t"), flags: locked });
      await expect(writeFile(at("t", "f"), "x")).rejects.toMatchObject({ code: "EROFS" });
      await writeFile(at("s", "f"), "x");
      expect(await readFile(at("t", "f"), "utf8")).toBe("x");
    });

    it("makes device nodes dead and setuid bits powerless", async () => {
      await directories("s", "t");
      await execa("mknod", [at("s", "null"), "c", "1", "3"]);
      await mounts.bind({ source: at("s"), target: at("t"), flags: locked });
      await expect(readFile(at("t", "null"))).rejects.toMatchObject({ code: "EACCES" });
      const line = (await readFile("/proc/self/mountinfo", "utf8"))
        .split("\n")
        .find((l) => l.includes(at("t")));
      expect(line).toMatch(/ ro,nosuid,nodev,/);
    });

    it("has setuid bits and devices where they are allowed, also where the source's mount has neither", async () => {
      await directories("s", "t", "u");
      await execa("mount", ["-t", "tmpfs", "-o", "nosuid,nodev", "tmpfs", at("s")]);
      await mounts.bind({ source: at("s"), target: at("t"), flags: free });
      expect(await mounts.at(at("t"))).toMatchObject([{ noSuid: false, noDev: false }]);
      await mounts.bind({ source: at("s"), target: at("u"), flags: { ...free, noSuid: true } });
      expect(await mounts.at(at("u"))).toMatchObject([{ noSuid: true, noDev: false }]);
      expect(await mounts.at(at("s"))).toMatchObject([{ noSuid: true, noDev: true }]);
    });

    it("never makes writable what the source's mount shows read-only", async () => {
      await directories("s", "t");
      await execa("mount", ["-t", "tmpfs", "-o", "ro", "tmpfs", at("s")]);
      await mounts.bind({ source: at("s"), target: at("t"), flags: free });
      await expect(writeFile(at("t", "f"), "x")).rejects.toMatchObject({ code: "EROFS" });
    });

    it("goes on showing a source that was deleted, says so, and can be unmounted", async () => {
      await directories("s", "t");
      await writeFile(at("s", "f"), "x");
      await mounts.bind({ source: at("s"), target: at("t"), flags: locked });
      await rm(at("s"), { recursive: true });
      expect(await mounts.at(at("t"))).toMatchObject([{ vanished: true, root: "/s" }]);
      expect(await readdir(at("t"))).toEqual([]);
      expect(await mounts.unmount(at("t"))).toBe(true);
    });

    it("lets no mount pass between source and target afterwards", async () => {
      await directories("s/inner", "t");
      await execa("mount", ["--make-shared", bench.root]);
      await mounts.bind({ source: at("s"), target: at("t"), flags: locked });
      await execa("mount", ["-t", "tmpfs", "tmpfs", at("s", "inner")]);
      expect(await mounts.at(at("t", "inner"))).toEqual([]);
      await rmdir(at("s", "inner")).catch(() => undefined);
      expect(await mounts.unmount(at("s", "inner"))).toBe(true);
    });

    it("reaches the peers of a shared mount above the target, and leaves them on unmount()", async () => {
      await directories("s", "kubelet", "peer");
      await execa("mount", ["--bind", at("kubelet"), at("kubelet")]);
      await execa("mount", ["--make-shared", at("kubelet")]);
      await execa("mount", ["--bind", at("kubelet"), at("peer")]);
      await directories("kubelet/t");
      await mounts.bind({ source: at("s"), target: at("kubelet", "t"), flags: locked });
      expect(await mounts.at(at("peer", "t"))).toMatchObject([
        { readOnly: true, noSuid: true, shared: true },
      ]);
      expect(await mounts.unmount(at("kubelet", "t"))).toBe(true);
      expect(await mounts.at(at("peer", "t"))).toEqual([]);
    });

    it("does not take along what is mounted beneath the source", async () => {
      await directories("s/inner", "t");
      await execa("mount", ["-t", "tmpfs", "tmpfs", at("s", "inner")]);
      await writeFile(at("s", "inner", "hidden"), "x");
      await mounts.bind({ source: at("s"), target: at("t"), flags: locked });
      expect(await readdir(at("t", "inner"))).toEqual([]);
    });

    it("leaves no descriptor open, whether it works or not", async () => {
      await directories("s", "t");
      await symlink("s", at("link"));
      const before = (await readdir("/proc/self/fd")).length;
      for (let n = 0; n < 20; n++) {
        await mounts.bind({ source: at("s"), target: at("t"), flags: locked });
        await mounts.bind({ source: at("s"), target: at("link"), flags: locked }).catch(() => undefined);
        await mounts.bind({ source: at("none"), target: at("t"), flags: locked }).catch(() => undefined);
        await mounts
          .overlay({ lower: [at("none"), at("s")], target: at("t"), flags: locked })
          .catch(() => undefined);
        await mounts.unmount(at("t"));
      }
      expect((await readdir("/proc/self/fd")).length).toBe(before);
    });
  });

  describe("LinuxMounts.overlay()", () => {
    const layers = async (count: number) => {
      const names = Array.from({ length: count }, (_, n) => `layer-${n}`);
      await directories(...names, "t");
      for (const name of names) await writeFile(at(name, "top"), name);
      for (const name of names) await writeFile(at(name, name), name);
      return names.map((name) => at(name));
    };

    it("shows 300 layers, the first on top, and takes no write", async () => {
      await mounts.overlay({ lower: await layers(300), target: at("t"), flags: locked });
      expect(await readFile(at("t", "top"), "utf8")).toBe("layer-0");
      expect(await readdir(at("t"))).toHaveLength(301);
      await expect(writeFile(at("t", "f"), "x")).rejects.toMatchObject({ code: "EROFS" });
      expect(await mounts.unmount(at("t"))).toBe(true);
    });

    it("writes to the upper alone", async () => {
      const lower = await layers(1);
      await directories("u", "w");
      await mounts.overlay({ lower, upper: at("u"), work: at("w"), target: at("t"), flags: free });
      await writeFile(at("t", "top"), "changed");
      expect(await readFile(at("u", "top"), "utf8")).toBe("changed");
      expect(await readFile(at("layer-0", "top"), "utf8")).toBe("layer-0");
    });

    it.each([
      [undefined, "EXDEV"],
      [true, undefined],
    ])("with redirectDir %s answers a rename of a lower directory with %s", async (redirectDir, code) => {
      await directories("a/d", "u", "w", "t");
      const request = { lower: [at("a")], upper: at("u"), work: at("w"), target: at("t"), flags: free };
      await mounts.overlay({ ...request, ...(redirectDir === undefined ? {} : { redirectDir }) });
      const renamed = rename(at("t", "d"), at("t", "e"));
      if (code === undefined) await renamed;
      else await expect(renamed).rejects.toMatchObject({ code });
    });

    it("without redirectDir lets a tool that copes with EXDEV move a lower directory, and keeps the upper plain", async () => {
      await directories("a/d/deep", "u", "w", "t");
      await writeFile(at("a", "d", "deep", "file"), "content");
      const request = { lower: [at("a")], upper: at("u"), work: at("w"), target: at("t"), flags: free };
      await mounts.overlay({ ...request, redirectDir: false });
      await execa("mv", [at("t", "d"), at("t", "e")]);
      expect(await readdir(at("t"))).toEqual(["e"]);
      expect(await readFile(at("u", "e", "deep", "file"), "utf8")).toBe("content");
      using directory = Directory.open(at("u"));
      expect(listXattrs({ directory, name: "e" }).filter((name) => name.includes("redirect"))).toEqual([]);
    });

    it("says volatile, redirect_dir, metacopy and index to the kernel", async () => {
      const lower = await layers(1);
      await directories("u", "w");
      const request = { lower, upper: at("u"), work: at("w"), target: at("t"), flags: free };
      await mounts.overlay({ ...request, volatile: true });
      const [entry] = await mounts.at(at("t"));
      expect(entry?.options).toContain("volatile");
      expect(entry?.options).toContain("redirect_dir=nofollow");
      expect(entry?.options).not.toMatch(/metacopy=on|index=on|nfs_export=on/);
    });

    it.each([
      ["longer than a setting of the kernel may be", "n".repeat(250)],
      ["with a backslash, a comma and a colon", "a\\:b,c:d\\"],
      ["with spaces and newlines", " a\nb "],
    ])("takes layers, upper and target in paths %s", async (_, name) => {
      await directories(`${name}/a`, `${name}/b`, `${name}/u`, `${name}/w`, `${name}/t`);
      await writeFile(at(name, "b", "f"), "x");
      const request = { upper: at(name, "u"), work: at(name, "w"), target: at(name, "t"), flags: free };
      await mounts.overlay({ lower: [at(name, "a"), at(name, "b")], ...request });
      expect(await readFile(at(name, "t", "f"), "utf8")).toBe("x");
      await writeFile(at(name, "t", "g"), "y");
      expect(await readFile(at(name, "u", "g"), "utf8")).toBe("y");
      expect(await mounts.unmount(at(name, "t"))).toBe(true);
    });

    it("tells the kernel's own words when it refuses: an SELinux label where SELinux is off", async () => {
      const lower = await layers(2);
      const context = "system_u:object_r:container_file_t:s0";
      const refused = mounts.overlay({ lower, target: at("t"), flags: locked, context });
      await expect(refused).rejects.toMatchObject({
        reason: "unsupported",
        message: expect.stringMatching(/context/),
      });
    });

    it("keeps what is mounted at the target beneath it", async () => {
      const lower = await layers(2);
      await mounts.bind({ source: at("layer-1"), target: at("t"), flags: locked });
      await mounts.overlay({ lower, target: at("t"), flags: locked });
      expect((await mounts.at(at("t"))).map(({ type }) => type)).toEqual(["tmpfs", "overlay"]);
      expect(await mounts.unmount(at("t"))).toBe(true);
      expect(await readFile(at("t", "top"), "utf8")).toBe("layer-1");
    });
  });

  describe("LinuxMounts.at()", () => {
    it("tells of a mount whose file system answers nothing, without waiting for it", async () => {
      using hanging = openHangingMount(at("hanging"));
      expect(await mounts.at(at("hanging"))).toMatchObject([{ type: "fuse" }]);
      hanging[Symbol.dispose]();
      expect(await mounts.at(at("hanging"))).toMatchObject([{ type: "fuse" }]);
      expect(await mounts.unmount(at("hanging"))).toBe(true);
      expect(await mounts.at(at("hanging"))).toEqual([]);
    });

    it("finds a mount of a single file, and tells a mount's root from what is in it", async () => {
      await directories("s/inner");
      await writeFile(at("s", "f"), "");
      await writeFile(at("f"), "");
      await mounts.bind({ source: at("s", "f"), target: at("f"), flags: locked });
      expect(await mounts.at(at("f"))).toHaveLength(1);
      expect(await mounts.at(bench.root)).toHaveLength(1);
      expect(await mounts.at(at("s", "inner"))).toEqual([]);
    });
  });

  describe("LinuxMounts.unmount()", () => {
    it("refuses a mount with another one inside", async () => {
      await directories("s/inner", "t");
      await mounts.bind({ source: at("s"), target: at("t"), flags: free });
      await execa("mount", ["-t", "tmpfs", "tmpfs", at("t", "inner")]);
      await expect(mounts.unmount(at("t"))).rejects.toMatchObject({ reason: "in-use" });
    });

    it("answers false for one that a mount above it hides", async () => {
      await directories("s", "a/t");
      await mounts.bind({ source: at("s"), target: at("a", "t"), flags: locked });
      await execa("mount", ["-t", "tmpfs", "tmpfs", at("a")]);
      expect(await mounts.unmount(at("a", "t"))).toBe(false);
      expect((await mounts.list()).filter(({ target }) => target === at("a", "t"))).toHaveLength(1);
      expect(await mounts.unmount(at("a"))).toBe(true);
      expect(await mounts.unmount(at("a", "t"))).toBe(true);
    });
  });
});
