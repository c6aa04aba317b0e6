import { execFileSync } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { directory, entry, file, hardlink, pax, symlink, tar } from "../../testing/tar-bytes.ts";
import { Directory } from "../host/directory.ts";
import { listXattrs } from "../host/xattrs.ts";
import { assembleLayers, cloneTree } from "./clone-tree.ts";
import { settleLayer } from "./settle.ts";
import { shownBy } from "./testing/claim.ts";
import { Scratch, treeOf } from "./testing/scratch.ts";
import type { Unpacked } from "./unpacker.ts";

let scratch: Scratch;
beforeEach(() => {
  scratch = new Scratch();
});
afterEach(() => scratch[Symbol.dispose]());

type Made = Unpacked & { readonly at: string };

/** Layers, bottom first, each settled over those before it; answers them topmost first. */
async function stack(...layers: ReadonlyArray<readonly Uint8Array[]>): Promise<Made[]> {
  const made: Made[] = [];
  for (const entries of layers) {
    const layer = await scratch.unpack(tar(...entries));
    await settleLayer(
      layer.at,
      made.map(({ at }) => at),
      layer.unsettled,
    );
    made.unshift(layer);
  }
  return made;
}

async function top(...layers: ReadonlyArray<readonly Uint8Array[]>): Promise<Made> {
  const [first] = await stack(...layers);
  if (first === undefined) throw new Error("no layers");
  return first;
}

function facts(at: string, name: string) {
  const { mode, uid, gid, mtimeMs } = fs.lstatSync(path.join(at, name));
  return [(mode & 0o7777).toString(8), uid, gid, mtimeMs];
}

function xattrsOf(at: string, name: string): string[] {
  using place = Directory.open(at);
  return listXattrs({ directory: place, name });
}

describe("settleLayer() and directories that nobody described", () => {
  const below = [
    directory("./", { mode: 0o711, mtime: 9 }),
    pax([["SCHILY.xattr.user.x", "1"]]),
    directory("tmp/", { mode: 0o1777, uid: 1, gid: 2, mtime: 100 }),
    directory("tmp/a/", { mode: 0o750, mtime: 200 }),
  ];

  it("gives them mode, owner, time and xattrs of what is beneath", async () => {
    const { at } = await top(below, [file("tmp/a/f", "1")]);
    expect(facts(at, "tmp")).toEqual(["1777", 1, 2, 100_000]);
    expect(facts(at, "tmp/a")).toEqual(["750", 0, 0, 200_000]);
    expect(facts(at, ".")).toEqual(["711", 0, 0, 9000]);
    expect(xattrsOf(at, "tmp")).toEqual(["user.x"]);
  });

  it("takes the topmost that has it, also through a layer that was settled itself", async () => {
    const changed = [directory("tmp/", { mode: 0o700, mtime: 300 })];
    const { at } = await top(below, changed, [file("tmp/a/g", "")], [file("tmp/a/f", "1")]);
    expect(facts(at, "tmp")).toEqual(["700", 0, 0, 300_000]);
    expect(facts(at, "tmp/a")).toEqual(["750", 0, 0, 200_000]);
  });

  it.each([
    ["a whiteout", [file(".wh.tmp", "")]],
    ["a file", [file("tmp", "")]],
    ["a symlink", [symlink("tmp", "/etc")]],
  ])("looks no further than %s", async (_what, middle) => {
    const { at } = await top(below, middle, [file("tmp/a/f", "1")]);
    expect(facts(at, "tmp")).toEqual(["755", 0, 0, 0]);
    expect(facts(at, "tmp/a")).toEqual(["755", 0, 0, 0]);
  });

  it("looks no further than an opaque directory", async () => {
    const middle = [directory("tmp/", { mode: 0o700 }), file("tmp/.wh..wh..opq", "")];
    const { at } = await top(below, middle, [file("tmp/a/f", "1")]);
    expect(facts(at, "tmp")[0]).toBe("700");
    expect(facts(at, "tmp/a")[0]).toBe("755");
  });

  it("looks beneath no opaque directory of its own", async () => {
    const { at } = await top(below, [file("tmp/.wh..wh..opq", ""), file("tmp/a/f", "1")]);
    expect(facts(at, "tmp")[0]).toBe("1777");
    expect(facts(at, "tmp/a")[0]).toBe("755");
  });
});

describe("settleLayer() and marks", () => {
  it("drops whiteouts and opaque markers that hide nothing, at the bottom and above", async () => {
    const marks = [file(".wh.gone", ""), directory("o/", { mtime: 7 }), file("o/.wh..wh..opq", "")];
    for (const layers of [[marks], [[file("other", "")], marks]]) {
      const { at } = await top(...layers);
      expect(treeOf(at)).toEqual({ o: "directory 755" });
      expect(xattrsOf(at, "o")).toEqual([]);
      expect(facts(at, "o")[3]).toBe(7000);
    }
  });

  it("keeps those that hide something, and the times of where they are", async () => {
    const { at } = await top(
      [directory("d/"), file("d/gone", ""), file("o/x", "")],
      [directory("d/", { mtime: 5 }), file("d/.wh.gone", ""), file("o/.wh..wh..opq", "")],
    );
    expect(treeOf(at)).toEqual({ d: "directory 755", "d/gone": "character 600", o: "directory 755" });
    expect(xattrsOf(at, "o")).toEqual(["trusted.overlay.opaque"]);
    expect(facts(at, "d")[3]).toBe(5000);
  });

  it("hides name by name what an opaque root hides, in which overlays look for no marker", async () => {
    const below = [file("gone", "1"), directory("d/"), file("d/gone", "2"), file("again", "3")];
    const above = [file(".wh..wh..opq", ""), directory("d/"), file("d/new", "4"), file("again", "5")];
    const layers = (await stack(below, above)).map(({ at }) => at);
    expect(Object.keys(shownBy(scratch, layers, "content"))).toEqual(["", "again", "d", "d/new"]);
    expect(xattrsOf(layers[0] ?? "", ".")).toEqual([]);
  });

  it("drops a whiteout of what is hidden already", async () => {
    const { at } = await top([file("a", "")], [file(".wh.a", "")], [file(".wh.a", ""), file("b", "")]);
    expect(treeOf(at)).toEqual({ b: "file 644 0" });
  });
});

describe("settleLayer() and hardlinks into layers beneath", () => {
  const below = [
    directory("usr/"),
    file("usr/tool", "content", { mode: 0o4755, uid: 3, mtime: 11 }),
    symlink("ln", "usr"),
  ];

  it("copies the file with all it has, once for several links, and leaves the directory's time", async () => {
    const { at } = await top(below, [
      directory("d/", { mtime: 8 }),
      hardlink("d/a", "usr/tool"),
      hardlink("b", "usr/tool"),
    ]);
    expect(facts(at, "d/a")).toEqual(["4755", 3, 0, 11_000]);
    expect(fs.readFileSync(path.join(at, "b"), "utf8")).toBe("content");
    expect(fs.statSync(path.join(at, "b")).ino).toBe(fs.statSync(path.join(at, "d/a")).ino);
    expect(facts(at, "d")[3]).toBe(8000);
  });

  it("links what is in the layer itself after all", async () => {
    const { at } = await top(below, [hardlink("a", "later"), file("later", "x")]);
    expect(fs.statSync(path.join(at, "a")).ino).toBe(fs.statSync(path.join(at, "later")).ino);
  });

  it.each([
    ["nothing", "usr/none"],
    ["a directory", "usr"],
    ["something through a symlink", "ln/tool"],
  ])("refuses one to %s", async (_what, target) => {
    await expect(top(below, [hardlink("a", target)])).rejects.toThrow(
      `hardlink to "${target}", which no layer beneath has`,
    );
  });

  it("refuses one to what is hidden", async () => {
    await expect(top(below, [file(".wh.usr", "")], [hardlink("a", "usr/tool")])).rejects.toThrow(
      "no layer beneath has",
    );
  });

  it("follows no symlink that a hostile layer beneath put in the way", async () => {
    const outside = scratch.directory("outside");
    fs.writeFileSync(path.join(outside, "secret"), "secret");
    await expect(top([symlink("way", outside)], [hardlink("a", "way/secret")])).rejects.toThrow(
      "no layer beneath has",
    );
    const { at } = await top([symlink("way", outside)], [file("way/f", "")]);
    expect(facts(at, "way")).toEqual(["755", 0, 0, 0]);
    expect(fs.readdirSync(outside)).toEqual(["secret"]);
  });
});

describe("settleLayer() again", () => {
  const bottom = [directory("t/", { mode: 0o1777 }), file("t/f", "1"), file("gone", ""), file("o/x", "")];
  const upper = [hardlink("t/l", "t/f"), file(".wh.gone", ""), file("o/.wh..wh..opq", "")];

  it("changes nothing", async () => {
    const [layer, below] = await stack(bottom, upper);
    if (layer === undefined || below === undefined) throw new Error("no layers");
    const before = treeOf(layer.at);
    await settleLayer(layer.at, [below.at], layer.unsettled);
    expect(treeOf(layer.at)).toEqual(before);
    expect(before["gone"]).toBe("character 600");
  });

  it("of a clone over other layers makes what a fresh one would be", async () => {
    const [layer] = await stack(bottom, upper);
    const [other] = await stack([directory("t/", { mode: 0o700 }), file("t/f", "other")]);
    if (layer === undefined || other === undefined) throw new Error("no layers");
    const twin = path.join(scratch.path, "twin");
    await cloneTree(layer.at, twin, { links: "hardlink" });
    await settleLayer(twin, [other.at], layer.unsettled);
    expect(treeOf(twin)).toEqual({ o: "directory 755", t: "directory 700", "t/l": "file 644 5" });
    expect(xattrsOf(twin, "o")).toEqual([]);
    expect(fs.readFileSync(path.join(layer.at, "t/l"), "utf8")).toBe("1");
    await settleLayer(twin, [(await top(bottom)).at], layer.unsettled);
    expect(treeOf(twin)).toEqual(treeOf(layer.at));
    expect(xattrsOf(twin, "o")).toEqual(["trusted.overlay.opaque"]);
  });
});

describe("cloneTree()", () => {
  const blob = tar(
    directory("./", { mtime: 1 }),
    pax([["SCHILY.xattr.user.k", "v"]]),
    directory("d/", { mode: 0o2750, uid: 4, mtime: 2 }),
    file("d/f", "data", { mode: 0o755, uid: 5, mtime: 3 }),
    hardlink("d/g", "d/f"),
    symlink("d/s", "/nowhere"),
    file("d/\u00ff\n", "odd"),
    file("d/.wh.w", ""),
    entry({ name: "p", type: "6" }),
  );

  it.each(["hardlink", "reflink-or-copy"] as const)("keeps everything with %s", async (links) => {
    const { at } = await scratch.unpack(blob);
    const to = path.join(scratch.path, "clone");
    const { inodes, bytes } = await cloneTree(at, to, { links });
    expect(treeOf(to)).toEqual(treeOf(at));
    for (const name of [".", "d", "d/f", "d/s", "p"]) expect(facts(to, name)).toEqual(facts(at, name));
    expect(xattrsOf(to, "d")).toEqual(["user.k"]);
    const ino = (top: string, name: string) => fs.statSync(path.join(top, name)).ino;
    expect(ino(to, "d/f")).toBe(ino(to, "d/g"));
    expect(ino(to, "d/f") === ino(at, "d/f")).toBe(links === "hardlink");
    expect(inodes).toBe(links === "hardlink" ? 2 : 7);
    expect(bytes).toBeGreaterThan(0);
  });

  it("refuses a place that is taken", async () => {
    const { at } = await scratch.unpack(blob);
    await expect(cloneTree(at, scratch.directory("there"), { links: "hardlink" })).rejects.toThrow("EEXIST");
  });
});

describe("assembleLayers()", () => {
  it("makes what overlayfs shows of the layers", async () => {
    const layers = await stack(
      [
        directory("d/", { mode: 0o700, mtime: 1 }),
        file("d/low", "low"),
        file("d/both", "old"),
        file("gone/deep/x", ""),
        directory("o/"),
        file("o/hidden", ""),
        file("kind", "a file"),
        directory("turned/"),
        file("turned/x", ""),
      ],
      [
        directory("d/", { mode: 0o755, mtime: 2 }),
        file("d/both", "new one"),
        file(".wh.gone", ""),
        file("o/.wh..wh..opq", ""),
        file("o/shown", ""),
        directory("kind/"),
        file("turned", "a file now"),
      ],
      [file("d/.wh.low", ""), hardlink("d/linked", "d/both")],
    );
    const merged = path.join(scratch.path, "merged");
    await assembleLayers(
      layers.map(({ at }) => at),
      merged,
      { links: "hardlink" },
    );
    const view = scratch.directory("view");
    const lower = layers.map(({ at }) => at).join(":");
    execFileSync("mount", ["-t", "overlay", "-o", `ro,lowerdir=${lower}`, "none", view]);
    try {
      expect(treeOf(merged)).toEqual(treeOf(view));
      expect(facts(merged, "d")).toEqual(facts(view, "d"));
    } finally {
      execFileSync("umount", [view]);
    }
    expect(Object.keys(treeOf(merged))).toEqual([
      "d",
      "d/both",
      "d/linked",
      "kind",
      "o",
      "o/shown",
      "turned",
    ]);
    expect(xattrsOf(merged, "o")).toEqual([]);
  });
});
