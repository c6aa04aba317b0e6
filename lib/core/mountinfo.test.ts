import { describe, expect, it } from "vitest";
import { type MountEntry, mountsAt, parseMountinfo } from "./mountinfo.ts";
import { decodePath } from "./path-bytes.ts";

const parse = (...lines: string[]) => parseMountinfo(Buffer.from(`${lines.join("\n")}\n`, "latin1"));

describe("parseMountinfo()", () => {
  it("reads every field of a line", () => {
    const line =
      "36 35 98:0 /mnt1 /mnt2 ro,nosuid,nodev,noatime shared:7 master:1 - ext3 /dev/root rw,errors=continue";
    expect(parse(line)).toEqual([
      {
        id: 36,
        parent: 35,
        device: "98:0",
        root: "/mnt1",
        vanished: false,
        target: "/mnt2",
        readOnly: true,
        noSuid: true,
        noDev: true,
        shared: true,
        type: "ext3",
        source: "/dev/root",
        options: "rw,errors=continue",
      },
    ]);
  });

  it.each([
    ["a space", "/a\\040b", "/a b"],
    ["a tab", "/a\\011b", "/a\tb"],
    ["a newline", "/a\\012b", "/a\nb"],
    ["a backslash", "/a\\134040b", "/a\\040b"],
    ["a hyphen alone in a name", "/a\\040-\\040b", "/a - b"],
    ["UTF-8, as its bytes stand in the table", "/\xc3\xa9", "/é"],
    ["UTF-8 that was escaped byte by byte", "/\\303\\251", "/é"],
    ["a name that is not UTF-8", "/a\xff", decodePath(Buffer.from("/a\xff", "latin1"))],
  ])("unescapes %s", (_, written, target) => {
    expect(parse(`36 35 0:1 / ${written} rw - tmpfs none rw`)[0]?.target).toBe(target);
  });

  it("reads a line without optional fields, and one with a source that is empty", () => {
    expect(parse("36 35 0:1 / /x rw - tmpfs  rw,size=4k")).toMatchObject([
      { shared: false, source: "", options: "rw,size=4k" },
    ]);
  });

  it("calls a mount read-only when its file system is", () => {
    expect(parse("36 35 0:1 / /x rw - erofs none ro")[0]?.readOnly).toBe(true);
    expect(parse("36 35 0:1 / /x rw,noro - tmpfs none rw,errors=ro")[0]?.readOnly).toBe(false);
  });

  it("marks what shows a deleted directory", () => {
    expect(parse("36 35 0:1 /gone//deleted /x rw - tmpfs none rw")[0]).toMatchObject({
      root: "/gone",
      vanished: true,
    });
  });

  it("leaves out a torn or empty line", () => {
    expect(
      parse("", "36 35 0:1 / /x rw", "37 35 0:1 / /y rw shared:1 -", "38 35 0:1 / /z rw - t s o"),
    ).toHaveLength(1);
  });
});

describe("mountsAt()", () => {
  const at = (id: number, parent: number, target: string): MountEntry => {
    const [entry] = parse(`${id} ${parent} 0:1 / ${target} rw - tmpfs none rw`);
    if (entry === undefined) throw new Error("no entry");
    return entry;
  };
  const ids = (entries: readonly MountEntry[], path: string) => mountsAt(entries, path).map(({ id }) => id);

  it("answers nothing for a path that is inside a mount, or only begins like one", () => {
    const table = [at(1, 0, "/"), at(2, 1, "/a")];
    expect(ids(table, "/a")).toEqual([2]);
    expect(ids(table, "/a/b")).toEqual([]);
    expect(ids(table, "/ab")).toEqual([]);
  });

  it("orders a stack by what stands on what, whatever the order of the table", () => {
    expect(ids([at(9, 1, "/a"), at(1, 0, "/"), at(4, 7, "/a"), at(7, 9, "/a")], "/a")).toEqual([9, 7, 4]);
  });

  it("leaves out what is hidden by a mount over a directory above it", () => {
    const hidden = [at(1, 0, "/"), at(2, 1, "/a/b"), at(3, 1, "/a")];
    expect(ids(hidden, "/a/b")).toEqual([]);
    expect(ids([...hidden, at(4, 3, "/a/b")], "/a/b")).toEqual([4]);
  });

  it("follows mounts inside mounts", () => {
    expect(ids([at(1, 0, "/"), at(2, 1, "/a"), at(3, 2, "/a/b/c")], "/a/b/c")).toEqual([3]);
  });

  it("finds the root itself, stacked or its own parent", () => {
    expect(ids([at(1, 1, "/"), at(2, 1, "/")], "/")).toEqual([1, 2]);
  });

  it("answers nothing from an empty table", () => {
    expect(ids([], "/a")).toEqual([]);
  });
});
