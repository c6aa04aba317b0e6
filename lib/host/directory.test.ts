import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { Descent } from "./descent.ts";
import { Directory, setFileTime, shareBlocks, toName } from "./directory.ts";
import { removeTree } from "./remove-tree.ts";
import { listXattrs, readXattr, removeXattr, writeXattr } from "./xattrs.ts";

let top: string;
let directory: Directory;
beforeEach(() => {
  top = fs.mkdtempSync(path.join(os.tmpdir(), "larder-directory-"));
  directory = Directory.open(top);
});
afterEach(async () => {
  directory[Symbol.dispose]();
  await removeTree(path.dirname(top), path.basename(top));
});

describe("Directory", () => {
  it("open() does not follow a symlink", () => {
    fs.symlinkSync(top, `${top}/link`);
    expect(() => Directory.open(`${top}/link`)).toThrow(/ENOTDIR|ELOOP/);
  });

  it.each(["enter", "openFile"] as const)("%s() does not follow a symlink", (verb) => {
    fs.symlinkSync("/etc", `${top}/link`);
    expect(() => directory[verb]("link")).toThrow(/ENOTDIR|ELOOP/);
  });

  it("createFile() writes through nothing that is there", () => {
    fs.symlinkSync(`${top}/target`, `${top}/link`);
    expect(() => directory.createFile("link", 0o600)).toThrow("EEXIST");
    expect(fs.existsSync(`${top}/target`)).toBe(false);
  });

  it.each(["a/b", "", "/etc", "a\0b"])("takes %j for no name", (name) => {
    expect(() => directory.makeDirectory(name, 0o700)).toThrow();
    expect(() => directory.makeSymlink(name, "x")).toThrow();
    expect(() => directory.status(name)).toThrow();
    expect(() => writeXattr({ directory, name }, "user.x", Buffer.from("1"))).toThrow();
  });

  it("keeps names byte for byte", () => {
    const name = Buffer.from([0xff, 0x0a, 0xc3, 0x28]).toString("latin1");
    directory.makeDirectory(name, 0o700);
    expect(directory.list()).toEqual([name]);
    expect(fs.readdirSync(top, { encoding: "buffer" })).toEqual([Buffer.from([0xff, 0x0a, 0xc3, 0x28])]);
    expect(directory.status(name).type).toBe("directory");
  });

  it("toName() gives the bytes of UTF-8", () => {
    directory.makeDirectory(toName("grün"), 0o700);
    expect(fs.readdirSync(top)).toEqual(["grün"]);
  });

  it("status() says what lstat says", () => {
    fs.writeFileSync(`${top}/f`, "12345", { mode: 0o640 });
    fs.chownSync(`${top}/f`, 12, 34);
    fs.linkSync(`${top}/f`, `${top}/g`);
    directory.setTime("f", { seconds: -5, nanoseconds: 7 });
    const { type, mode, uid, gid, size, links, mtime } = directory.status("f");
    expect({ type, mode, uid, gid, size, links }).toEqual({
      type: "file",
      mode: 0o640,
      uid: 12,
      gid: 34,
      size: 5,
      links: 2,
    });
    expect(mtime).toEqual({ seconds: -5, nanoseconds: 7 });
    expect(directory.status("g").inode).toBe(directory.status("f").inode);
    expect(directory.ownStatus().inode).not.toBe(directory.status("f").inode);
  });

  it("find() says what status() does, and nothing where there is nothing", () => {
    fs.writeFileSync(path.join(top, "there"), "x");
    using directory = Directory.open(top);
    expect(directory.find("there")).toEqual(directory.status("there"));
    expect(directory.find("none")).toBeUndefined();
    expect(() => directory.status("none")).toThrow("ENOENT");
    expect(() => directory.find("x".repeat(300))).toThrow("ENAMETOOLONG");
  });

  it("census() names what is in it byte for byte, and which of that are directories and devices", () => {
    const names = ["file", "\u00e9", "\u00ff\u00fe"];
    using directory = Directory.open(top);
    fs.closeSync(directory.createFile("file", 0o600));
    for (const name of names.slice(1)) directory.makeDirectory(name, 0o700);
    directory.makeSymlink("link", "file");
    directory.makeNode("n\u00f6", "character", { major: 0, minor: 0 });
    directory.makeNode("pipe", "fifo", { major: 0, minor: 0 });
    const seen = directory.census();
    expect(seen.names.sort()).toEqual(directory.list().sort());
    expect(seen.directories.sort()).toEqual(names.slice(1).sort());
    expect(seen.devices).toEqual(["n\u00f6"]);
  });

  it("setOwner(), setTime() and readLink() act on a symlink itself", () => {
    fs.writeFileSync(`${top}/f`, "");
    directory.makeSymlink("l", "f");
    directory.setOwner("l", 5, 6);
    directory.setTime("l", { seconds: 9, nanoseconds: 0 });
    expect(directory.readLink("l")).toBe("f");
    expect(fs.lstatSync(`${top}/l`)).toMatchObject({ uid: 5, gid: 6, mtimeMs: 9000 });
    expect(fs.statSync(`${top}/f`).uid).toBe(0);
  });

  it("makeLink() links a symlink itself", () => {
    directory.makeSymlink("l", "/etc/passwd");
    directory.makeLink("m", directory, "l");
    expect(fs.readlinkSync(`${top}/m`)).toBe("/etc/passwd");
  });

  it("rename() moves between directories", () => {
    directory.makeDirectory("a", 0o700);
    using a = directory.enter("a");
    fs.writeFileSync(`${top}/f`, "1");
    directory.rename("f", a, "g");
    expect(a.list()).toEqual(["g"]);
  });

  it("openFile() does not wait for a fifo", () => {
    directory.makeNode("p", "fifo", { major: 0, minor: 0 });
    fs.closeSync(directory.openFile("p"));
  });

  it("setFileTime() sets nanoseconds", () => {
    const fd = directory.createFile("f", 0o600);
    setFileTime(fd, { seconds: 1_700_000_000, nanoseconds: 123_456_789 });
    fs.closeSync(fd);
    expect(directory.status("f").mtime).toEqual({ seconds: 1_700_000_000, nanoseconds: 123_456_789 });
  });

  it("shareBlocks() shares, or says that it cannot", () => {
    fs.writeFileSync(`${top}/f`, "content");
    const [source, target] = [directory.openFile("f"), directory.createFile("g", 0o600)];
    const isShared = shareBlocks(source, target);
    fs.closeSync(source);
    fs.closeSync(target);
    expect(fs.readFileSync(`${top}/g`, "utf8")).toBe(isShared ? "content" : "");
  });
});

describe("xattrs", () => {
  it("are bytes, of the entry itself, and gone when removed, twice", () => {
    const value = Buffer.from([0, 255, 10]);
    fs.writeFileSync(`${top}/f`, "");
    directory.makeSymlink("l", "f");
    const [file, link] = [
      { directory, name: "f" },
      { directory, name: "l" },
    ];
    writeXattr(file, "user.a", value);
    writeXattr(file, "user.empty", Buffer.alloc(0));
    writeXattr(link, "trusted.l", value);
    expect(readXattr(file, "user.a")).toEqual(value);
    expect(readXattr(file, "user.empty")).toEqual(Buffer.alloc(0));
    expect(listXattrs(file)).toEqual(["user.a", "user.empty"]);
    expect(listXattrs(link)).toEqual(["trusted.l"]);
    expect(readXattr(file, "user.none")).toBeUndefined();
    removeXattr(file, "user.a");
    removeXattr(file, "user.a");
    expect(listXattrs(file)).toEqual(["user.empty"]);
  });
});

describe("xattrs of entries with long names", () => {
  it("are read and written like any other, and of names not UTF-8", () => {
    using directory = Directory.open(top);
    for (const name of ["n".repeat(255), "\u00ff".repeat(200), "short"]) {
      fs.closeSync(directory.createFile(name, 0o600));
      const place = { directory, name };
      expect(readXattr(place, "user.none")).toBeUndefined();
      writeXattr(place, "user.own", Buffer.from(name, "latin1"));
      expect(readXattr(place, "user.own")?.toString("latin1")).toBe(name);
      expect(listXattrs(place)).toEqual(["user.own"]);
      removeXattr(place, "user.own");
      expect(listXattrs(place)).toEqual([]);
    }
  });
});

describe("Descent", () => {
  it("comes back up from deeper than it keeps open, and says where it is", () => {
    using descent = new Descent(directory.enter("."));
    for (let depth = 0; depth < 80; depth++) {
      descent.current.makeDirectory(`d${depth}`, 0o700);
      descent.descend(`d${depth}`);
    }
    expect(descent.path.split("/")).toHaveLength(80);
    while (descent.depth > 0) {
      const name = descent.nameAt(descent.depth) ?? "";
      descent.ascend();
      expect(descent.current.list()).toEqual([name]);
    }
    expect(() => descent.ascend()).toThrow("cannot leave");
  });

  it("notices when a directory was moved while it was below", () => {
    using descent = new Descent(directory.enter("."));
    for (let depth = 0; depth < 80; depth++) {
      descent.current.makeDirectory("d", 0o700);
      descent.descend("d");
    }
    fs.mkdirSync(`${top}/elsewhere`);
    fs.renameSync(`${top}/d/d/d/d`, `${top}/elsewhere/d`);
    expect(() => {
      while (descent.depth > 0) descent.ascend();
    }).toThrow("was moved");
  });

  it("stays where it is when it cannot descend", () => {
    fs.symlinkSync("/etc", `${top}/link`);
    using descent = new Descent(directory.enter("."));
    expect(() => descent.descend("link")).toThrow(/ENOTDIR|ELOOP/);
    expect(() => descent.descend("none")).toThrow("ENOENT");
    expect(descent.depth).toBe(0);
  });
});
