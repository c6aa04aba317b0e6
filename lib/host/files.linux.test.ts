import { once } from "node:events";
import { mkdtempSync, realpathSync, rmSync } from "node:fs";
import { chmod, mkdir, readdir, readFile, stat, symlink, truncate, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { execa } from "execa";
import { afterAll, afterEach, beforeEach, describe, expect, it } from "vitest";
import { BlockingThreads } from "./blocking.ts";
import { type FilesBench, filesContract } from "./files.contract.ts";
import { LinuxFiles } from "./files.linux.ts";
import { leftoverOf } from "./files.ts";
import { isPrivileged } from "./testing/privileged.ts";

const blocking = new BlockingThreads({ patienceMs: 1000 });
const files = new LinuxFiles(blocking);
const privileged = isPrivileged();

afterAll(() => blocking[Symbol.asyncDispose]());

async function openBench(): Promise<FilesBench> {
  const root = realpathSync(mkdtempSync(path.join(os.tmpdir(), "larder-files-")));
  return {
    files,
    root,
    leave: (file) => writeFile(path.join(path.dirname(file), leftoverOf(path.basename(file))), "half"),
    [Symbol.asyncDispose]: async () => rmSync(root, { recursive: true }),
  };
}

filesContract("LinuxFiles", openBench);

describe("LinuxFiles", () => {
  let bench: FilesBench;
  const at = (...names: string[]) => path.join(bench.root, ...names);
  beforeEach(async () => {
    bench = await openBench();
  });
  afterEach(() => bench[Symbol.asyncDispose]());

  it("writeAtomically() makes files that only the plugin may read", async () => {
    await files.writeAtomically(at("f"), Buffer.from("x"), { durable: true });
    expect((await stat(at("f"))).mode & 0o7777).toBe(0o600);
  });

  it("writeAtomically() never writes through a symlink, at the name or at the name before it", async () => {
    await writeFile(at("victim"), "kept");
    await symlink(at("victim"), at("f"));
    await symlink(at("victim"), at(leftoverOf("f")));
    await files.writeAtomically(at("f"), Buffer.from("x"), { durable: false });
    expect(await readFile(at("victim"), "utf8")).toBe("kept");
    expect(await readFile(at("f"), "utf8")).toBe("x");
  });

  it("read() never follows a symlink, and list() calls it one", async () => {
    await writeFile(at("victim"), "secret");
    await symlink(at("victim"), at("link"));
    await expect(files.read(at("link"))).rejects.toMatchObject({ reason: "conflict" });
    expect(await files.list(bench.root)).toContainEqual({ name: "link", kind: "symlink" });
  });

  it("read() does not wait for the writer of a fifo", async () => {
    await execa("mkfifo", [at("fifo")]);
    expect(await files.read(at("fifo"))).toHaveLength(0);
    expect(await files.list(bench.root)).toEqual([{ name: "fifo", kind: "other" }]);
  });

  it("read() refuses a file too large to hold", async () => {
    await writeFile(at("f"), "");
    await truncate(at("f"), 2 ** 33);
    await expect(files.read(at("f"))).rejects.toMatchObject({ reason: "out-of-range" });
  });

  it("list() never looks into a directory through a symlink", async () => {
    await mkdir(at("there"));
    await symlink(at("there"), at("through"));
    await expect(files.list(at("through"))).rejects.toMatchObject({ reason: "conflict" });
  });

  it("touch() touches a symlink itself", async () => {
    await writeFile(at("f"), "");
    const before = (await stat(at("f"))).mtimeMs;
    await symlink(at("f"), at("link"));
    await files.touch(at("link"), 1000);
    expect((await stat(at("f"))).mtimeMs).toBe(before);
    expect(await files.readTouched(at("link"))).toBe(1000);
  });

  it("makeDirectory() makes directories that only the plugin may enter", async () => {
    await files.makeDirectory(at("a", "b"));
    expect((await stat(at("a"))).mode & 0o777).toBe(0o700);
    await files.makeDirectory(at("c"), { mode: 0o755 });
    expect((await stat(at("c"))).mode & 0o777).toBe(0o755);
    await chmod(at("a"), 0o711);
    await files.makeDirectory(at("a"));
    expect((await stat(at("a"))).mode & 0o777).toBe(0o711);
  });

  it("leaves no descriptor open, whether it works or not", async () => {
    const before = (await readdir("/proc/self/fd")).length;
    for (let n = 0; n < 20; n++) {
      await files.writeAtomically(at("f"), Buffer.from("x"), { durable: true });
      await files
        .writeAtomically(at("none", "f"), Buffer.from("x"), { durable: true })
        .catch(() => undefined);
      await files.read(at("f"));
      await files.read(bench.root).catch(() => undefined);
      await files.list(bench.root);
      await files.syncFilesystem(bench.root);
    }
    expect((await readdir("/proc/self/fd")).length).toBe(before);
  });

  /** Another process with LinuxFiles at `files`, and the file `f`. */
  const other = (program: string, limit = "ulimit -n 1024") => {
    const imports = ["files.linux", "blocking"].map((name) => new URL(`./${name}.ts`, import.meta.url).href);
    const text = `
      const { LinuxFiles } = await import(${JSON.stringify(imports[0])});
      const { BlockingThreads } = await import(${JSON.stringify(imports[1])});
      const files = new LinuxFiles(new BlockingThreads({ patienceMs: 1000 }));
      const [f] = process.argv.slice(1);
      ${program}`;
    const args = [process.execPath, "--input-type=module", "-e", text, at("f")];
    return execa("sh", ["-c", `${limit}; exec "$0" "$@"`, ...args], { reject: false });
  };

  it("writeAtomically() killed at any moment leaves the old bytes or the new ones, never others", async () => {
    const round =
      "let n = 0; for (;;) { await files.writeAtomically(f, Buffer.alloc(200_000, ++n % 256), { durable: false }); if (n === 3) console.log('on'); }";
    for (let kills = 0; kills < 4; kills++) {
      const writer = other(round);
      await once(writer.stdout, "data");
      writer.kill("SIGKILL");
      await writer;
      const bytes = await files.read(at("f"));
      expect(bytes).toHaveLength(200_000);
      expect(bytes.every((byte) => byte === bytes[0])).toBe(true);
    }
    expect((await files.list(bench.root)).map(({ name }) => name)).toEqual(["f"]);
    await files.removeLeftovers(bench.root);
    expect(await readdir(bench.root)).toEqual(["f"]);
  });

  it("writeAtomically() without descriptors left refuses, keeps the old bytes, and goes on once there are", async () => {
    await files.writeAtomically(at("f"), Buffer.from("old"), { durable: true });
    const program = `
      const fs = await import("node:fs");
      const open = [];
      try { for (;;) open.push(fs.openSync("/dev/null")); } catch {}
      const said = await files.writeAtomically(f, Buffer.from("x"), { durable: true }).catch((error) => error.reason);
      const kept = (fs.closeSync(open.pop()), fs.readFileSync(f, "utf8"));
      open.forEach((fd) => fs.closeSync(fd));
      await files.writeAtomically(f, Buffer.from("new"), { durable: true });
      console.log(said, kept);`;
    expect(await other(program, "ulimit -n 64")).toMatchObject({ stdout: "unavailable old", stderr: "" });
    expect(await readFile(at("f"), "utf8")).toBe("new");
  });

  describe.runIf(privileged)("on a small disk", () => {
    beforeEach(() => execa("mount", ["-t", "tmpfs", "-o", "size=64k,nr_inodes=8", "tmpfs", bench.root]));
    afterEach(() => execa("umount", [bench.root]));

    it("writeAtomically() on a full disk refuses, keeps the old bytes and leaves nothing beside them", async () => {
      await files.writeAtomically(at("f"), Buffer.from("old"), { durable: true });
      const write = files.writeAtomically(at("f"), Buffer.alloc(1 << 20), { durable: true });
      await expect(write).rejects.toMatchObject({
        reason: "full",
        message: expect.stringContaining(at("f")),
      });
      expect(await readFile(at("f"), "utf8")).toBe("old");
      expect(await readdir(bench.root)).toEqual(["f"]);
      await files.writeAtomically(at("f"), Buffer.from("new"), { durable: true });
      expect(await readFile(at("f"), "utf8")).toBe("new");
    });

    it("writeAtomically() without inodes left refuses and goes on once there are", async () => {
      for (let n = 0; n < 7; n++) await writeFile(at(`f${n}`), "").catch(() => undefined);
      const write = () => files.writeAtomically(at("g"), Buffer.from("x"), { durable: false });
      await expect(write()).rejects.toMatchObject({ reason: "full" });
      expect((await files.statFilesystem(bench.root)).inodesFree).toBe(0);
      await files.removeFile(at("f0"));
      await write();
    });

    it("removeEmptyDirectory() refuses a mount as in use", async () => {
      await mkdir(at("m"));
      await execa("mount", ["-t", "tmpfs", "tmpfs", at("m")]);
      await expect(files.removeEmptyDirectory(at("m"))).rejects.toMatchObject({ reason: "in-use" });
      await execa("umount", [at("m")]);
      expect(await files.removeEmptyDirectory(at("m"))).toBe(true);
    });

    it("makeDirectory() on a read-only disk says that it is one", async () => {
      await execa("mount", ["-o", "remount,ro", bench.root]);
      await expect(files.makeDirectory(at("a/b/c"))).rejects.toMatchObject({
        reason: "unavailable",
        message: expect.stringContaining("read-only") as string,
      });
    });

    it("writeAtomically() on a read-only disk refuses", async () => {
      await execa("mount", ["-o", "remount,ro", bench.root]);
      const write = files.writeAtomically(at("f"), Buffer.from("x"), { durable: true });
      await expect(write).rejects.toMatchObject({ reason: "unavailable" });
    });
  });
});
