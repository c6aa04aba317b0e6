import fs from "node:fs";
import path from "node:path";
import zlib from "node:zlib";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { directory, entry, file, hardlink, longName, pax, symlink, tar } from "../../testing/tar-bytes.ts";
import { digestOf } from "../core/digest.ts";
import { Failure, type Reason } from "../core/failure.ts";
import { Directory } from "../host/directory.ts";
import { listXattrs, readXattr } from "../host/xattrs.ts";
import { assembleLayers } from "./clone-tree.ts";
import { FeedProgress } from "./feed-progress.ts";
import { Scratch, treeOf } from "./testing/scratch.ts";
import { unpackFeed } from "./unpack-feed.ts";
import type { UnpackJob } from "./unpacker.ts";

let scratch: Scratch;
beforeEach(() => {
  scratch = new Scratch();
});
afterEach(() => scratch[Symbol.dispose]());

async function refusal(blob: Uint8Array, more: Partial<UnpackJob> = {}): Promise<Failure> {
  const error = await scratch.unpack(blob, more).then(
    () => undefined,
    (error: unknown) => error,
  );
  if (error instanceof Failure) return error;
  throw new Error("it was not refused", { cause: error });
}

function text(at: string, name: string): string {
  return fs.readFileSync(path.join(at, name), "utf8");
}

function xattrsOf(at: string, name: string): string[] {
  using top = Directory.open(at);
  return listXattrs({ directory: top, name });
}

describe("unpackFeed() in an image", () => {
  it("makes files, directories, symlinks and hardlinks with mode, owner and time", async () => {
    const { at, unsettled, inodes, bytes } = await scratch.unpack(
      tar(
        directory("./", { mode: 0o750 }),
        directory("bin/", { mode: 0o1777, uid: 5, gid: 6, mtime: 1000 }),
        file("bin/tool", "#!", { mode: 0o4755, uid: 7, gid: 8, mtime: 2000 }),
        symlink("bin/alias", "/etc/passwd"),
        hardlink("bin/other", "bin/tool"),
      ),
    );
    expect(treeOf(at)).toEqual({
      bin: "directory 1777",
      "bin/tool": "file 4755 2",
      "bin/alias": "symlink 777",
      "bin/other": "file 4755 2",
    });
    expect(fs.statSync(at).mode & 0o7777).toBe(0o750);
    const [bin, tool] = [fs.statSync(path.join(at, "bin")), fs.statSync(path.join(at, "bin/tool"))];
    expect([bin.uid, bin.gid, bin.mtimeMs]).toEqual([5, 6, 1_000_000]);
    expect([tool.uid, tool.gid, tool.mtimeMs, tool.nlink]).toEqual([7, 8, 2_000_000, 2]);
    expect(fs.readlinkSync(path.join(at, "bin/alias"))).toBe("/etc/passwd");
    expect(unsettled).toEqual({ implied: [], links: [], whiteouts: [], opaques: [] });
    expect(inodes).toBeGreaterThanOrEqual(5);
    expect(bytes).toBeGreaterThan(0);
  });

  it("keeps nanoseconds, also before 1970", async () => {
    const { at } = await scratch.unpack(
      tar(pax([["mtime", "12.123456789"]]), file("a", ""), pax([["mtime", "-1.25"]]), file("b", "")),
    );
    using top = Directory.open(at);
    expect(top.status("a").mtime).toEqual({ seconds: 12, nanoseconds: 123_456_789 });
    expect(top.status("b").mtime).toEqual({ seconds: -2, nanoseconds: 750_000_000 });
  });

  it("drops set-user-id bits and capabilities, not those of directories, where the rule says so", async () => {
    const capability = Buffer.from("0100000200040000000000000000000000000000", "hex").toString("latin1");
    const blob = tar(
      directory("d/", { mode: 0o2755 }),
      pax([["SCHILY.xattr.security.capability", capability]]),
      file("d/f", "", { mode: 0o6755 }),
    );
    const dropped = await scratch.unpack(blob, { keepSetuid: false });
    expect(treeOf(dropped.at)).toEqual({ d: "directory 2755", "d/f": "file 755 0" });
    expect(xattrsOf(path.join(dropped.at, "d"), "f")).toEqual([]);
    const kept = await scratch.unpack(blob);
    expect(treeOf(kept.at)["d/f"]).toBe("file 6755 0");
    expect(xattrsOf(path.join(kept.at, "d"), "f")).toEqual(["security.capability"]);
    expect(fs.statSync(path.join(kept.at, "d/f")).gid).toBe(0);
  });

  it("keeps xattrs as bytes but trusted.* and security.selinux", async () => {
    const { at } = await scratch.unpack(
      tar(
        pax([
          ["SCHILY.xattr.user.bytes", "\u00ff\0=\n\u0001"],
          ["SCHILY.xattr.trusted.overlay.opaque", "y"],
          ["SCHILY.xattr.trusted.overlay.redirect", "/etc"],
          ["SCHILY.xattr.security.selinux", "x"],
          ["LIBARCHIVE.xattr.user.a%3Db", "Yg"],
          ["LIBARCHIVE.xattr.user.others-pass-it-over", "Yg"],
          ["LIBARCHIVE.xattr.trusted.a%3Db", "Yg"],
          ["LIBARCHIVE.xattr.user.a%3D%00", "Yg"],
        ]),
        directory("d/"),
      ),
    );
    expect(xattrsOf(at, "d")).toEqual(["user.a=b", "user.bytes"]);
    using top = Directory.open(at);
    expect(readXattr({ directory: top, name: "d" }, "user.bytes")).toEqual(
      Buffer.from([0xff, 0, 0x3d, 0x0a, 1]),
    );
  });

  it("says which parents nobody described, and gives them the same attributes on every node", async () => {
    const { at, unsettled } = await scratch.unpack(tar(file("a/b/c", "x"), directory("a/")));
    expect([...unsettled.implied].sort()).toEqual(["", "a/b"]);
    const { mode, uid, gid, mtimeMs } = fs.statSync(path.join(at, "a/b"));
    expect([mode & 0o7777, uid, gid, mtimeMs]).toEqual([0o755, 0, 0, 0]);
    expect(fs.statSync(at).mtimeMs).toBe(0);
  });

  it("keeps a directory's time when it is entered again", async () => {
    const { at } = await scratch.unpack(
      tar(
        directory("a/", { mtime: 5 }),
        file("a/1", ""),
        directory("b/", { mtime: 6 }),
        file("a/2", ""),
        file("b/1", ""),
      ),
    );
    expect([fs.statSync(path.join(at, "a")).mtimeMs, fs.statSync(path.join(at, "b")).mtimeMs]).toEqual([
      5000, 6000,
    ]);
  });

  it("turns whiteouts into 0:0 devices and opaque markers into an attribute", async () => {
    const { at, unsettled } = await scratch.unpack(
      tar(
        directory("d/"),
        file("d/.wh.gone", ""),
        directory("o/"),
        file("o/.wh..wh..opq", ""),
        file("o/x", ""),
      ),
    );
    expect(treeOf(at)).toMatchObject({ d: "directory 755", "d/gone": "character 600", "o/x": "file 644 0" });
    using top = Directory.open(path.join(at, "d"));
    expect(top.status("gone").device).toEqual({ major: 0, minor: 0 });
    expect(xattrsOf(at, "o")).toEqual(["trusted.overlay.opaque"]);
    expect(unsettled).toMatchObject({ whiteouts: ["d/gone"], opaques: ["o"] });
  });

  it.each([
    ["before", [file(".wh.a", ""), file("a", "new")]],
    ["after", [file("a", "new"), file(".wh.a", "")]],
  ])("keeps what the layer holds itself when the whiteout stands %s it", async (_where, entries) => {
    const { at, unsettled } = await scratch.unpack(tar(...entries));
    expect(treeOf(at)).toEqual({ a: "file 644 3" });
    expect(unsettled.whiteouts).toEqual([]);
  });

  it.each([
    ["before", [file(".wh.a", ""), directory("a/"), file("a/f", "")]],
    ["before, implied", [file(".wh.a", ""), file("a/f", "")]],
    ["after", [directory("a/"), file("a/f", ""), file(".wh.a", "")]],
  ])("makes a directory opaque when its whiteout stands %s it", async (_where, entries) => {
    const { at, unsettled } = await scratch.unpack(tar(...entries));
    expect(treeOf(at)).toEqual({ a: "directory 755", "a/f": "file 644 0" });
    expect(xattrsOf(at, "a")).toEqual(["trusted.overlay.opaque"]);
    expect(unsettled).toMatchObject({ whiteouts: [], opaques: ["a"] });
  });

  it("leaves the bookkeeping of old union file systems out, content and all", async () => {
    const { at } = await scratch.unpack(
      tar(
        directory(".wh..wh.plnk/"),
        file(".wh..wh.plnk/1.2", "xyz"),
        file(".wh..wh.aufs", "q"),
        file("f", "1"),
      ),
    );
    expect(treeOf(at)).toEqual({ f: "file 644 1" });
  });

  it("says which hardlinks lead into layers beneath", async () => {
    const { at, unsettled } = await scratch.unpack(tar(directory("a/"), hardlink("a/new", "/usr/bin/old")));
    expect(treeOf(at)).toEqual({ a: "directory 755" });
    expect(unsettled.links).toEqual([{ path: "a/new", target: "usr/bin/old" }]);
  });

  it("forgets a hardlink into layers beneath when something takes its place", async () => {
    const { at, unsettled } = await scratch.unpack(
      tar(hardlink("a", "gone"), file("a", "1"), hardlink("b", "gone"), directory("b/"), file("b/c", "")),
    );
    expect(treeOf(at)).toEqual({ a: "file 644 1", b: "directory 755", "b/c": "file 644 0" });
    expect(unsettled.links).toEqual([]);
  });

  it("makes device nodes and fifos as containerd does", async () => {
    const { at } = await scratch.unpack(
      tar(
        entry({ name: "console", type: "3", device: [5, 1], mode: 0o620, gid: 5 }),
        entry({ name: "loop", type: "4", device: [7, 300] }),
        entry({ name: "pipe", type: "6", mode: 0o666 }),
      ),
    );
    expect(treeOf(at)).toEqual({ console: "character 620", loop: "block 644", pipe: "fifo 666" });
    using top = Directory.open(at);
    expect(top.status("console").device).toEqual({ major: 5, minor: 1 });
    expect(top.status("loop").device).toEqual({ major: 7, minor: 300 });
  });

  it("makes a device 0:0 that says that it is one, and takes it for no whiteout", async () => {
    const mark = ["SCHILY.xattr.trusted.larder.device", "y"] as const;
    const { at } = await scratch.unpack(
      tar(
        pax([mark]),
        entry({ name: "zero", type: "3", device: [0, 0] }),
        pax([mark]),
        file("file", "x"),
        file(".wh.gone", ""),
      ),
    );
    using top = Directory.open(at);
    const marked = (name: string) =>
      readXattr({ directory: top, name }, "trusted.larder.device") !== undefined;
    expect(["zero", "file", "gone"].map(marked)).toEqual([true, false, false]);
    const shown = path.join(scratch.path, "shown");
    await assembleLayers([at], shown, { links: "reflink-or-copy" });
    expect(treeOf(shown)).toEqual({ zero: "character 644", file: "file 644 1" });
  });

  it("takes an absolute name as one from the layer's root", async () => {
    const { at } = await scratch.unpack(tar(file("/etc//./motd", "hi")));
    expect(text(at, "etc/motd")).toBe("hi");
  });

  it("lets the last of several entries of one name hold, whatever it replaces", async () => {
    const { at, unsettled } = await scratch.unpack(
      tar(
        file("a", "1"),
        file("a", "22"),
        directory("b/"),
        file("b/deep/er", ""),
        file("b", "file now"),
        file("c", "file first"),
        directory("c/"),
        file("c/in", ""),
        symlink("d", "/etc"),
        directory("d/"),
        file("d/in", ""),
        file("e", "e"),
        symlink("e", "a"),
      ),
    );
    expect(treeOf(at)).toEqual({
      a: "file 644 2",
      b: "file 644 8",
      c: "directory 755",
      "c/in": "file 644 0",
      d: "directory 755",
      "d/in": "file 644 0",
      e: "symlink 777",
    });
    expect(unsettled.implied).toEqual([""]);
  });

  it("writes a new file over one that has other names, and leaves those", async () => {
    const { at } = await scratch.unpack(tar(file("a", "old"), hardlink("b", "a"), file("a", "newer")));
    expect([text(at, "a"), text(at, "b")]).toEqual(["newer", "old"]);
  });

  it("takes a hardlink to itself for what it is", async () => {
    const { at } = await scratch.unpack(tar(file("a", "1"), hardlink("a", "./a")));
    expect(text(at, "a")).toBe("1");
  });

  it("keeps names byte for byte: not UTF-8, newlines, 255 bytes", async () => {
    const names = ["\u00ff\u00fe", "line\nbreak", "x".repeat(255), "tab\t", 'quote"', "caf\u00c3\u00a9"];
    const { at } = await scratch.unpack(
      tar(...names.flatMap((name) => [longName(name), file("short", "1")])),
    );
    expect(Object.keys(treeOf(at)).sort()).toEqual([...names].sort());
    expect(fs.existsSync(path.join(at, "café"))).toBe(true);
  });

  it("keeps an empty directory and a file in directories nested beyond PATH_MAX", async () => {
    const deep = Array.from({ length: 60 }, (_, at) => `${at}-${"n".repeat(200)}`).join("/");
    const { at, unsettled } = await scratch.unpack(
      tar(
        longName(`${deep}/file`),
        file("x", "deep"),
        pax([["path", `${deep}/link`]]),
        hardlink("x", "top"),
        file("top", ""),
      ),
    );
    expect(treeOf(at)[`${deep}/file`]).toBe("file 644 4");
    expect(unsettled.links).toEqual([{ path: `${deep}/link`, target: "top" }]);
    expect(unsettled.implied).toHaveLength(61);
  });

  it("keeps names of 4 KiB made of short parts", async () => {
    const name = `${"p/".repeat(2047)}ff`;
    const { at } = await scratch.unpack(tar(pax([["path", name]]), file("x", "1")));
    expect(Object.keys(treeOf(at))).toHaveLength(2048);
  });

  it("takes a hundred thousand entries", async () => {
    const entries = Array.from({ length: 100_000 }, (_, at) => hardlink(`d/${at % 50_000}`, "f"));
    const { at } = await scratch.unpack(tar(file("f", ""), directory("d/"), ...entries));
    expect(fs.readdirSync(path.join(at, "d"))).toHaveLength(50_000);
  });
});

describe("unpackFeed() with sparse files", () => {
  const data = Buffer.alloc(1024, "d");
  const size = 8 << 20;

  it.each([
    [
      "the old GNU form",
      [
        entry({
          name: "s",
          type: "S",
          magic: "ustar  \0",
          data: Buffer.concat([data, data]),
          patches: [
            [386, `${"0".padStart(11, "0")}\0${(1024).toString(8).padStart(11, "0")}\0`],
            [410, `${(4 << 20).toString(8).padStart(11, "0")}\0${(1024).toString(8).padStart(11, "0")}\0`],
            [483, `${size.toString(8).padStart(11, "0")}\0`],
          ],
        }),
      ],
    ],
    [
      "the 0.0 form",
      [
        pax([
          ["GNU.sparse.size", `${size}`],
          ["GNU.sparse.numblocks", "2"],
          ["GNU.sparse.offset", "0"],
          ["GNU.sparse.numbytes", "1024"],
          ["GNU.sparse.offset", `${4 << 20}`],
          ["GNU.sparse.numbytes", "1024"],
        ]),
        file("s", Buffer.concat([data, data])),
      ],
    ],
    [
      "the 0.1 form",
      [
        pax([
          ["GNU.sparse.size", `${size}`],
          ["GNU.sparse.map", `0,1024,${4 << 20},1024`],
          ["GNU.sparse.name", "s"],
        ]),
        file("GNUSparseFile.1/s", Buffer.concat([data, data])),
      ],
    ],
    [
      "the 1.0 form",
      [
        pax([
          ["GNU.sparse.major", "1"],
          ["GNU.sparse.minor", "0"],
          ["GNU.sparse.name", "s"],
          ["GNU.sparse.realsize", `${size}`],
        ]),
        file(
          "GNUSparseFile.1/s",
          Buffer.concat([Buffer.from(`2\n0\n1024\n${4 << 20}\n1024\n`.padEnd(512, "\0")), data, data]),
        ),
      ],
    ],
  ])("keeps the holes of %s", async (_form, entries) => {
    const { at } = await scratch.unpack(tar(...entries, file("after", "1")));
    const content = fs.readFileSync(path.join(at, "s"));
    const expected = Buffer.alloc(size);
    data.copy(expected, 0);
    data.copy(expected, 4 << 20);
    expect(content.equals(expected)).toBe(true);
    expect(fs.statSync(path.join(at, "s")).blocks * 512).toBeLessThan(1 << 20);
    expect(text(at, "after")).toBe("1");
  });

  it.each([
    ["pieces that overlap", "0,1024,512,1024"],
    ["pieces beyond its size", `0,1024,${size},1024`],
    ["less data than pieces", "0,1024,2048,2048"],
    ["half a piece", "0,1024,5"],
    ["no numbers", "a,b"],
  ])("refuses %s", async (_what, map) => {
    const failure = await refusal(
      tar(
        pax([
          ["GNU.sparse.size", `${size}`],
          ["GNU.sparse.map", map],
        ]),
        file("s", Buffer.concat([data, data])),
      ),
    );
    expect(failure.reason).toBe("invalid");
  });
});

describe("unpackFeed() in an archive", () => {
  const more = { kind: "archive", root: "models/a" } as const;

  it("takes what lies under its root, and makes nothing of whiteout names", async () => {
    const { at } = await scratch.unpack(
      tar(
        directory("models/a/"),
        file("models/a/f", "1"),
        file("models/a/.wh.f", "2"),
        hardlink("models/a/l", "models/a/f"),
      ),
      more,
    );
    expect(Object.keys(treeOf(at))).toEqual([
      "models",
      "models/a",
      "models/a/.wh.f",
      "models/a/f",
      "models/a/l",
    ]);
  });

  it.each<[string, readonly Uint8Array[], string]>([
    ["an entry beside its root", [file("models/ab", "")], '"models/ab" does not lie under "models/a"'],
    ["an absolute name", [file("/models/a/f", "")], '"/models/a/f" has an absolute name'],
    ["a hardlink out of it", [hardlink("models/a/l", "../../etc/passwd")], 'has ".."'],
    ["an absolute hardlink", [hardlink("models/a/l", "/etc/passwd")], "absolute"],
    ["a hardlink to nothing", [hardlink("models/a/l", "models/a/none")], "which is not in the archive"],
    ["a device", [entry({ name: "models/a/d", type: "3", device: [1, 3] })], "device node or a fifo"],
    ["a fifo", [entry({ name: "models/a/d", type: "6" })], "device node or a fifo"],
  ])("refuses %s", async (_what, entries, why) => {
    const failure = await refusal(tar(...entries), more);
    expect(failure.reason).toBe("invalid");
    expect(failure.message).toContain(why);
  });
});

describe("unpackFeed() with hostile archives", () => {
  const cases: ReadonlyArray<readonly [string, Uint8Array, Reason, string]> = [
    ["dots", tar(file("a/../../../evil", "")), "invalid", '"a/../../../evil" has ".."'],
    ["dots at the end", tar(directory("a/..")), "invalid", 'has ".."'],
    ["dots in a hardlink", tar(hardlink("a", "../../etc/passwd")), "invalid", 'has ".."'],
    ["dots in a whiteout", tar(file("a/.wh...", "")), "invalid", "whiteout that names no file"],
    ["an empty whiteout", tar(file("a/.wh.", "")), "invalid", "whiteout that names no file"],
    [
      "a way through a symlink",
      tar(symlink("a", "/etc"), file("a/b", "")),
      "invalid",
      'leads through "a", which is a symlink',
    ],
    [
      "a way through a relative symlink",
      tar(directory("d/"), symlink("d/a", ".."), file("d/a/b", "")),
      "invalid",
      'leads through "d/a"',
    ],
    [
      "a way through a file",
      tar(file("a", ""), file("a/b", "")),
      "invalid",
      'leads through "a", which is a file',
    ],
    [
      "a hardlink through a symlink",
      tar(symlink("a", "/etc"), hardlink("b", "a/passwd")),
      "invalid",
      "through a symlink",
    ],
    [
      "a whiteout through a symlink",
      tar(symlink("a", "/etc"), file("a/.wh.passwd", "")),
      "invalid",
      "leads through",
    ],
    [
      "an opaque marker through a symlink",
      tar(symlink("a", "/etc"), file("a/.wh..wh..opq", "")),
      "invalid",
      "leads through",
    ],
    ["a hardlink to a directory", tar(directory("a/"), hardlink("b", "a")), "invalid", "which is no file"],
    ["a hardlink to a whiteout", tar(file(".wh.a", ""), hardlink("b", "a")), "invalid", "which is no file"],
    ["a hardlink beneath itself", tar(file("a/b", ""), hardlink("a", "a/b")), "invalid", "beneath itself"],
    ["a hardlink to the root", tar(hardlink("a", "/")), "invalid", "which is no file"],
    ["a file for a root", tar(file("./", "x")), "invalid", "named as a directory"],
    ["a symlink for a root", tar(symlink(".", "/etc")), "invalid", "names the layer itself"],
    ["a symlink to nothing", tar(symlink("a", "")), "invalid", "symlink to nothing"],
    ["the device 0:0", tar(entry({ name: "a", type: "3", device: [0, 0] })), "invalid", "device 0:0"],
    ["a component of 4 KiB", tar(longName("x".repeat(4096)), file("x", "")), "invalid", "longer than 255"],
    [
      "a symlink target of 8 KiB",
      tar(longName("t/".repeat(4096), "K"), symlink("a", "x")),
      "invalid",
      "longer than the file system takes",
    ],
    [
      "a name of 64 KiB",
      tar(pax([["path", "n/".repeat(32_768)]]), file("x", "")),
      "invalid",
      "has a name of",
    ],
    ["NUL in a name", tar(pax([["path", "a\0b"]]), file("x", "")), "invalid", "NUL in its name"],
    ["NUL in a target", tar(pax([["linkpath", "a\0b"]]), symlink("x", "y")), "invalid", "kernel refuses"],
    ["a negative size", tar(file("a", "", { size: -512 })), "invalid", "negative number"],
    ["a size beyond numbers", tar(file("a", "", { size: 2n ** 80n })), "invalid", "too large for any file"],
    ["a huge size", tar(file("a", "abc", { size: 2 ** 45 })), "invalid", "ends in the middle"],
    ["a negative owner", tar(file("a", "", { uid: -1 })), "invalid", "negative number"],
    [
      "the owner that means nobody",
      tar(file("a", "", { uid: 0xffff_ffff })),
      "invalid",
      "has the owner 4294967295",
    ],
    ["a wrong checksum", tar(file("a", "", { checksum: 1 })), "invalid", "checksum is wrong"],
    ["text for a number", tar(file("a", "", { patches: [[124, "not octal!"]] })), "invalid", "not octal"],
    ["an unknown type", tar(entry({ name: "a", type: "Z" })), "unsupported", 'of the type "Z"'],
    ["a part of several volumes", tar(entry({ name: "a", type: "M" })), "unsupported", 'of the type "M"'],
    [
      "a broken extended header",
      tar(entry({ name: "x", type: "x", data: "99 path=a\n" }), file("a", "")),
      "invalid",
      "extended header (pax) in it is broken",
    ],
    [
      "an extended header of 2 MiB",
      tar(entry({ name: "x", type: "x", data: Buffer.alloc(2 << 20) }), file("a", "")),
      "invalid",
      "extended header in it has 2097152 bytes",
    ],
    ["an extended header and nothing after it", tar(pax([["path", "a"]])), "invalid", "ends in the middle"],
    ["a broken global header", tar(pax([["", "a"]], "g"), file("a", "")), "invalid", "broken"],
    ["a time that is none", tar(pax([["mtime", "soon"]]), file("a", "")), "invalid", "for a time"],
    ["a size that is none", tar(pax([["size", "-5"]]), file("a", "")), "invalid", "for a number"],
    ["an end within a header", tar(file("a", "")).subarray(0, 300), "invalid", "ends in the middle"],
    [
      "an end within a file",
      tar(file("a", Buffer.alloc(2000))).subarray(0, 1500),
      "invalid",
      "ends in the middle",
    ],
    [
      "one empty header",
      Buffer.concat([Buffer.alloc(512), file("a", "")]),
      "invalid",
      "a header in it is empty",
    ],
    [
      "an endless tail",
      Buffer.concat([tar(file("a", "")), Buffer.alloc(65 << 20)]),
      "invalid",
      "follow the end",
    ],
    ["no tar at all", Buffer.alloc(2048, "no tar"), "invalid", "not a tar archive"],
  ];

  it.each(cases)("refuses %s", async (_what, blob, reason, why) => {
    const outside = treeOf(scratch.path);
    const failure = await refusal(blob, { directory: scratch.directory("filled") });
    expect(failure.message).toContain(why);
    expect(failure.reason).toBe(reason);
    const after = treeOf(scratch.path);
    const beside = Object.keys(after).filter(
      (name) => !name.startsWith("filled") && !name.startsWith("blob-"),
    );
    expect(beside).toEqual(Object.keys(outside));
  });

  it("shows a hostile name on one line, escaped and cut", async () => {
    const failure = await refusal(tar(longName(`../\n\u001b[31m${"x".repeat(4000)}`), file("x", "")));
    expect(failure.message).toContain('"../\\u000a\\u001b[31mxxx');
    expect(failure.message.length).toBeLessThan(300);
  });

  it("takes an archive without the blocks that end it, and an empty one", async () => {
    const { at } = await scratch.unpack(file("a", "1"));
    expect(text(at, "a")).toBe("1");
    expect(treeOf((await scratch.unpack(Buffer.alloc(0))).at)).toEqual({});
  });

  it("leaves global headers unused, as containerd and ORAS do", async () => {
    const { at } = await scratch.unpack(tar(pax([["path", "evil"]], "g"), file("a", "1")));
    expect(treeOf(at)).toEqual({ a: "file 644 1" });
  });
});

describe("unpackFeed() and compression", () => {
  const blob = tar(file("a", Buffer.alloc(300_000, "abc")), file("b", "2"));
  const content = { a: "file 644 300000", b: "file 644 1" };
  const packers = { gzip: zlib.gzipSync, zstd: zlib.zstdCompressSync } as const;

  describe.each(["gzip", "zstd"] as const)("%s", (compression) => {
    const pack = (bytes: Uint8Array): Buffer => packers[compression](bytes);

    it("takes one stream, several in a row, and padding", async () => {
      const halves = Buffer.concat([pack(blob.subarray(0, 1000)), pack(blob.subarray(1000))]);
      for (const packed of [pack(blob), halves, Buffer.concat([halves, Buffer.alloc(3 << 20)])])
        expect(treeOf((await scratch.unpack(packed, { compression })).at)).toEqual(content);
    });

    it.each([
      ["cut", (packed: Buffer) => packed.subarray(0, packed.length - 5)],
      ["cut at its start", (packed: Buffer) => packed.subarray(0, 3)],
      ["empty", () => Buffer.alloc(0)],
      ["broken", (packed: Buffer) => Buffer.concat([packed.subarray(0, 20), Buffer.alloc(400, 0xee)])],
      [
        "followed by something else",
        (packed: Buffer) => Buffer.concat([packed, Buffer.from("garbage, no stream")]),
      ],
      [
        "followed by padding and something else",
        (packed: Buffer) => Buffer.concat([packed, Buffer.alloc(3 << 20), Buffer.from("garbage")]),
      ],
      ["followed by a cut one", (packed: Buffer) => Buffer.concat([packed, packed.subarray(0, 30)])],
      ["something else", () => Buffer.from("plain text, and not compressed at all")],
    ])("refuses a stream that is %s", async (_what, spoil) => {
      const failure = await refusal(spoil(pack(blob)), { compression });
      expect(failure.reason).toBe("invalid");
      expect(failure.message).toContain("push it again");
    });

    it("ends a bomb when the room is used up, having written little more", async () => {
      const bomb = pack(tar(file("zeros", Buffer.alloc(64 << 20))));
      let given = 0;
      const room = async (bytes: number) => {
        if (given + bytes > 4 << 20) throw new Failure("full", "no room");
        given += bytes;
      };
      const at = scratch.directory();
      await expect(scratch.unpack(bomb, { compression, directory: at }, { room })).rejects.toThrow("no room");
      expect(fs.statSync(path.join(at, "zeros")).size).toBeLessThanOrEqual(given);
    });

    it("holds the uncompressed bytes against diffId", async () => {
      await scratch.unpack(pack(blob), { compression, diffId: digestOf(blob) });
      const failure = await refusal(pack(blob), { compression, diffId: digestOf("other") });
      expect(failure.reason).toBe("corrupt");
      expect(failure.message).toContain(digestOf(blob));
    });
  });

  it("refuses a zstd window over 128 MiB, and says what helps", async () => {
    const { ZSTD_c_windowLog, ZSTD_c_enableLongDistanceMatching } = zlib.constants;
    const params = { [ZSTD_c_windowLog]: 28, [ZSTD_c_enableLongDistanceMatching]: 1 };
    const packed = zlib.zstdCompressSync(Buffer.alloc(130 << 20, "ab"), { params });
    const failure = await refusal(packed, { compression: "zstd" });
    expect(failure.reason).toBe("unsupported");
    expect(failure.message).toContain("--long");
  });
});

describe("unpackFeed() and its feed", () => {
  const blob = tar(file("a", Buffer.alloc(100_000, "a")));

  it("follows the file while it grows", async () => {
    const progress = new FeedProgress();
    const running = scratch.unpack(blob, { feed: scratch.feed(blob, digestOf(blob), progress) });
    for (let at = 0; at <= blob.length; at += 7_777) {
      progress.advance(at);
      await new Promise(setImmediate);
    }
    progress.advance(blob.length);
    expect(treeOf((await running).at)).toEqual({ a: "file 644 100000" });
  });

  it("calls wrong bytes corrupt, even where they break the archive first", async () => {
    const wrong = Buffer.from(blob);
    wrong[130] = 0x39;
    for (const bytes of [wrong, Buffer.from(blob).fill(1, 600, 700)]) {
      const failure = await refusal(bytes, { feed: scratch.feed(bytes, digestOf(blob)) });
      expect(failure.reason).toBe("corrupt");
    }
  });

  it("calls a feed that ends early corrupt, and one that is given up unavailable", async () => {
    const early = new FeedProgress();
    early.advance(600);
    early.end();
    expect((await refusal(blob, { feed: scratch.feed(blob, digestOf(blob), early) })).reason).toBe("corrupt");
    const aborted = new FeedProgress();
    aborted.advance(600);
    aborted.abort();
    expect((await refusal(blob, { feed: scratch.feed(blob, digestOf(blob), aborted) })).reason).toBe(
      "unavailable",
    );
  });

  it("stops at once when it is cancelled while it waits for bytes", async () => {
    const cancelled = new AbortController();
    const feed = scratch.feed(blob, digestOf(blob), new FeedProgress());
    const running = unpackFeed(scratch.job(blob, { feed }), {
      signal: cancelled.signal,
      room: async () => {},
    });
    cancelled.abort(new Error("enough"));
    await expect(running).rejects.toThrow("enough");
  });

  it("asks for room before it writes, in steps, and for all of it", async () => {
    const asked: number[] = [];
    const many = tar(...Array.from({ length: 2_000 }, (_, at) => file(`f${at}`, "")));
    const { bytes } = await scratch.unpack(many, {}, { room: async (more) => void asked.push(more) });
    const total = asked.reduce((sum, more) => sum + more, 0);
    expect(total).toBeGreaterThanOrEqual(bytes);
    expect(asked.length).toBeLessThan(50);
  });
});

describe("unpackFeed() on a full disk", () => {
  it("says full, and leaves nothing open", async () => {
    const at = scratch.directory();
    const { execFileSync } = await import("node:child_process");
    execFileSync("mount", ["-t", "tmpfs", "-o", "size=256k,nr_inodes=50", "none", at]);
    try {
      const open = fs.readdirSync("/proc/self/fd").length;
      const bytes = await refusal(tar(file("big", Buffer.alloc(1 << 20))), { directory: at });
      expect(bytes.reason).toBe("full");
      expect(bytes.message).toContain('its entry "big" does not fit');
      const inodes = await refusal(tar(...Array.from({ length: 80 }, (_, n) => file(`i${n}`, ""))), {
        directory: at,
      });
      expect(inodes.reason).toBe("full");
      expect(fs.readdirSync("/proc/self/fd").length).toBe(open);
    } finally {
      execFileSync("umount", [at]);
    }
  });
});
