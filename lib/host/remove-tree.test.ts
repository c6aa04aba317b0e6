import { execFileSync } from "node:child_process";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { Descent } from "./descent.ts";
import { Directory } from "./directory.ts";
import { removeTree, removeTreeNow } from "./remove-tree.ts";

let top: string;
beforeEach(() => {
  top = fs.mkdtempSync(path.join(os.tmpdir(), "larder-remove-"));
});
afterEach(async () => {
  await removeTree(path.dirname(top), path.basename(top));
});

function openDescriptors(): number {
  return fs.readdirSync("/proc/self/fd").length;
}

describe("removeTree()", () => {
  it("removes files, directories, symlinks, fifos and devices, and follows nothing", async () => {
    const outside = path.join(top, "outside");
    fs.mkdirSync(outside);
    fs.writeFileSync(path.join(outside, "kept"), "");
    using directory = Directory.open(top);
    fs.mkdirSync(path.join(top, "tree/a/b"), { recursive: true });
    fs.symlinkSync(outside, path.join(top, "tree/a/out"));
    fs.symlinkSync("/nowhere", path.join(top, "tree/dangling"));
    using tree = directory.enter("tree");
    tree.makeNode("fifo", "fifo", { major: 0, minor: 0 });
    tree.makeNode("whiteout", "character", { major: 0, minor: 0 });
    fs.closeSync(tree.createFile("\u00ff\n", 0o400));
    await removeTree(top, "tree");
    expect(fs.readdirSync(top)).toEqual(["outside"]);
    expect(fs.readdirSync(outside)).toEqual(["kept"]);
  });

  it("takes a symlink away, not what it points to", async () => {
    fs.mkdirSync(path.join(top, "kept"));
    fs.symlinkSync("kept", path.join(top, "link"));
    await removeTree(top, "link");
    expect(fs.readdirSync(top)).toEqual(["kept"]);
  });

  it("is content when there is nothing, also the second time", async () => {
    await removeTree(top, "nothing");
    fs.mkdirSync(path.join(top, "tree"));
    await removeTree(top, "tree");
    await removeTree(top, "tree");
    expect(fs.readdirSync(top)).toEqual([]);
  });

  it("takes names in UTF-8, as paths are", async () => {
    fs.mkdirSync(path.join(top, "café"));
    await removeTree(top, "café");
    expect(fs.readdirSync(top)).toEqual([]);
  });

  it("takes what is nested beyond PATH_MAX and beyond the limit of descriptors", async () => {
    const before = openDescriptors();
    {
      using descent = new Descent(Directory.open(top));
      for (let depth = 0; depth < 3000; depth++) {
        descent.current.makeDirectory(depth % 50 === 0 ? "d".repeat(200) : "d", 0o700);
        if (depth % 7 === 0) fs.closeSync(descent.current.createFile("beside", 0o600));
        descent.descend(depth % 50 === 0 ? "d".repeat(200) : "d");
        expect(openDescriptors() - before).toBeLessThan(40);
      }
    }
    await removeTree(top, "d".repeat(200));
    expect(fs.readdirSync(top)).toEqual(["beside"]);
    expect(openDescriptors()).toBe(before);
  });

  it("clears immutable and append-only flags, of files and of directories", async () => {
    fs.mkdirSync(path.join(top, "tree/in"), { recursive: true });
    for (const name of ["tree/file", "tree/in/file", "tree/in/log"])
      fs.writeFileSync(path.join(top, name), "");
    execFileSync("chattr", ["+a", path.join(top, "tree/in/log")]);
    for (const name of ["tree/file", "tree/in/file", "tree/in", "tree"])
      execFileSync("chattr", ["+i", path.join(top, name)]);
    await removeTree(top, "tree");
    expect(fs.readdirSync(top)).toEqual([]);
  });

  it.each(["directory", "file"])(
    "stops at a mounted %s, leaves it, and goes on once it is unmounted",
    async (kind) => {
      const [source, target] = [path.join(top, "source"), path.join(top, "tree/a/mounted")];
      fs.mkdirSync(path.dirname(target), { recursive: true });
      for (const at of [source, target])
        if (kind === "file") fs.writeFileSync(at, "x");
        else fs.mkdirSync(at);
      if (kind === "directory") fs.writeFileSync(path.join(source, "kept"), "");
      execFileSync("mount", ["--bind", source, target]);
      const before = openDescriptors();
      try {
        await expect(removeTree(top, "tree")).rejects.toMatchObject({
          reason: "in-use",
          message: expect.stringContaining("mounted"),
        });
        expect(openDescriptors()).toBe(before);
      } finally {
        execFileSync("umount", [target]);
      }
      expect(kind === "file" ? fs.readFileSync(source, "utf8") : fs.readdirSync(source).join()).toBe(
        kind === "file" ? "x" : "kept",
      );
      await removeTree(top, "tree");
      expect(fs.readdirSync(top)).toEqual(["source"]);
    },
  );

  it("lets others run in between", async () => {
    fs.mkdirSync(path.join(top, "tree"));
    for (let at = 0; at < 1000; at++) fs.writeFileSync(path.join(top, "tree", `${at}`), "");
    const seen: number[] = [];
    const tick = () => {
      seen.push(seen.length);
      if (fs.existsSync(path.join(top, "tree"))) setImmediate(tick);
    };
    setImmediate(tick);
    await removeTree(top, "tree");
    expect(seen.length).toBeGreaterThan(4);
  });

  it("copes with two at once on one tree", async () => {
    for (let at = 0; at < 500; at++) fs.mkdirSync(path.join(top, "tree", `${at}`, "in"), { recursive: true });
    await Promise.all([removeTree(top, "tree"), removeTree(top, "tree")]);
    expect(fs.readdirSync(top)).toEqual([]);
  });
});

describe("removeTreeNow()", () => {
  it("does it at one go", () => {
    fs.mkdirSync(path.join(top, "tree/a"), { recursive: true });
    using directory = Directory.open(top);
    removeTreeNow(directory, "tree");
    expect(fs.readdirSync(top)).toEqual([]);
  });
});
