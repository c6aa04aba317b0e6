import { execFileSync } from "node:child_process";
import {
  chmodSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { OPAQUE_XATTR, OPAQUE_YES } from "../archive/overlay-marks.ts";
import { Directory } from "../host/directory.ts";
import { listXattrs, writeXattr } from "../host/xattrs.ts";
import { assembleLayers, cloneLayer } from "./assemble.ts";

let root: string;

beforeEach(async () => {
  root = await mkdtemp(path.join(os.tmpdir(), "larder-assemble-"));
});

afterEach(async () => {
  await rm(root, { recursive: true });
});

/** A layer: a path that ends in / is a directory, in /! an opaque one, a content of null a whiteout. */
function layer(name: string, entries: Readonly<Record<string, string | null>>): string {
  const at = path.join(root, name);
  mkdirSync(at);
  for (const [entry, content] of Object.entries(entries)) {
    const target = path.join(at, entry.replace(/!$/, ""));
    mkdirSync(entry.endsWith("/") || entry.endsWith("!") ? target : path.dirname(target), {
      recursive: true,
    });
    if (entry.endsWith("!")) {
      using directory = Directory.open(target.replace(/\/$/, ""));
      writeXattr({ directory, name: "." }, OPAQUE_XATTR, OPAQUE_YES);
    } else if (content === null) execFileSync("mknod", [target, "c", "0", "0"]);
    else if (!entry.endsWith("/")) writeFileSync(target, content);
  }
  return at;
}

const tree = (at: string) => readdirSync(at, { recursive: true, encoding: "utf8" }).sort();

describe("assembleLayers()", () => {
  it("shows what an overlay would: whiteouts, opaque directories, files over directories and the reverse", async () => {
    const bottom = layer("1", {
      a: "1",
      gone: "1",
      "d/x": "1",
      "d/y": "1",
      "o/hidden/deep": "1",
      f: "1",
      "dir/z": "1",
    });
    const top = layer("2", {
      a: "2",
      gone: null,
      "d/x": null,
      "o/!": "",
      "o/new": "2",
      "f/now": "2",
      dir: "2",
    });
    const to = path.join(root, "to");
    await assembleLayers([top, bottom], to);
    expect(tree(to)).toEqual(["a", "d", "d/y", "dir", "f", "f/now", "o", "o/new"]);
    expect(readFileSync(path.join(to, "a"), "utf8")).toBe("2");
    expect(statSync(path.join(to, "d/y")).ino).toBe(statSync(path.join(bottom, "d/y")).ino);
    expect(tree(bottom)).toContain("o/hidden/deep");
  });

  it("gives directories the topmost layer's mode and time, and no overlay marks", async () => {
    const bottom = layer("1", { "d/x": "1" });
    const top = layer("2", { "d/!": "", "d/y": "2" });
    chmodSync(path.join(top, "d"), 0o1777);
    utimesSync(path.join(top, "d"), 5, 5);
    const to = path.join(root, "to");
    await assembleLayers([top, bottom], to);
    const status = statSync(path.join(to, "d"));
    expect([status.mode & 0o7777, status.mtimeMs]).toEqual([0o1777, 5000]);
    using directory = Directory.open(path.join(to, "d"));
    expect(listXattrs({ directory, name: "." })).toEqual([]);
  });

  it("follows no symlink of a layer, wherever it leads", async () => {
    const outside = layer("outside", { kept: "kept" });
    const bottom = layer("1", {});
    symlinkSync(outside, path.join(bottom, "link"));
    const top = layer("2", { "link/kept": "2", "link/more": "2" });
    const to = path.join(root, "to");
    await assembleLayers([top, bottom], to);
    expect(tree(to)).toEqual(["link", "link/kept", "link/more"]);
    expect(tree(outside)).toEqual(["kept"]);
    expect(readFileSync(path.join(outside, "kept"), "utf8")).toBe("kept");
    const other = path.join(root, "other");
    await assembleLayers([bottom], other);
    expect(readlinkSync(path.join(other, "link"))).toBe(outside);
  });

  it("takes a depth beyond PATH_MAX, and names that are not UTF-8", async () => {
    const bottom = layer("1", {});
    let at = Directory.open(bottom);
    for (let depth = 0; depth < 40; depth++) {
      at.makeDirectory("d".repeat(200), 0o755);
      const next = at.enter("d".repeat(200));
      at[Symbol.dispose]();
      at = next;
    }
    at.makeDirectory("\xff\xfe", 0o755);
    at[Symbol.dispose]();
    const to = path.join(root, "to");
    const { inodes } = await assembleLayers([bottom], to);
    expect(inodes).toBe(42);
    for (const name of ["1", "to"]) execFileSync("rm", ["-rf", path.join(root, name)]);
  });

  it("copies a file that can take no more names", async () => {
    const bottom = layer("1", { file: "linked" });
    using from = Directory.open(bottom);
    using links = Directory.open(layer("links", {}));
    for (let count = 1; count < 65_000; count++) links.makeLink(String(count), from, "file");
    const to = path.join(root, "to");
    const { inodes } = await assembleLayers([bottom], to);
    expect(inodes).toBe(2);
    expect(readFileSync(path.join(to, "file"), "utf8")).toBe("linked");
    expect(statSync(path.join(to, "file")).ino).not.toBe(statSync(path.join(bottom, "file")).ino);
  });
});

describe("cloneLayer()", () => {
  it("keeps whiteouts and marks, and shares the files", async () => {
    const from = layer("1", { "d/!": "", "d/gone": null, "d/x": "1" });
    const to = path.join(root, "to");
    await cloneLayer(from, to);
    expect(tree(to)).toEqual(tree(from));
    expect(statSync(path.join(to, "d/gone")).isCharacterDevice()).toBe(true);
    expect(statSync(path.join(to, "d/x")).ino).toBe(statSync(path.join(from, "d/x")).ino);
    using directory = Directory.open(path.join(to, "d"));
    expect(listXattrs({ directory, name: "." })).toEqual([OPAQUE_XATTR]);
  });
});
