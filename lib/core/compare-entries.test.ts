import { describe, expect, it } from "vitest";
import { compareEntries, type Entry, isOwnXattr } from "./compare-entries.ts";

const file: Entry = {
  kind: "file",
  mode: 0o644,
  uid: 1,
  gid: 2,
  size: 10,
  mtimeNs: 1_000_000_001n,
  xattrs: new Map([["user.a", Uint8Array.of(1, 0)]]),
};
const symlink: Entry = { ...file, kind: "symlink", mode: 0o777, size: 3, target: "a/b" };
const directory: Entry = { ...file, kind: "directory", mode: 0o755, size: 4096 };
const xattrs = (entries: Record<string, number>) =>
  new Map(Object.entries(entries).map(([name, byte]) => [name, Uint8Array.of(byte)]));

describe("compareEntries()", () => {
  it("takes what has nothing beneath it for changed", () => {
    expect(compareEntries(file, undefined, "content")).toBe("changed");
  });

  it("wants the bytes of two files read that are otherwise alike, and of empty ones not", () => {
    expect(compareEntries({ ...file }, file, "content")).toBe("same-content?");
    expect(compareEntries({ ...file, size: 0 }, { ...file, size: 0 }, "exact")).toBe("same");
  });

  it("counts the time of modification under exact only", () => {
    const touched = { mtimeNs: 1_000_000_002n };
    expect(compareEntries({ ...file, ...touched }, file, "content")).toBe("same-content?");
    expect(compareEntries({ ...file, ...touched }, file, "exact")).toBe("changed");
    expect(compareEntries({ ...directory, ...touched }, directory, "content")).toBe("same");
    expect(compareEntries({ ...symlink, ...touched }, symlink, "exact")).toBe("changed");
  });

  it.each([
    ["mode", file, { mode: 0o755 }],
    ["setuid", file, { mode: 0o4644 }],
    ["owner", directory, { uid: 9 }],
    ["group", directory, { gid: 9 }],
    ["size", file, { size: 11 }],
    ["target", symlink, { target: "a/c" }],
    ["kind", file, { kind: "fifo" }],
    ["value of an xattr", file, { xattrs: xattrs({ "user.a": 2 }) }],
    ["missing xattr", file, { xattrs: new Map() }],
    ["further xattr", file, { xattrs: new Map([...file.xattrs, ["user.b", Uint8Array.of()]]) }],
    ["name of an xattr", file, { xattrs: new Map([["user.b", Uint8Array.of(1, 0)]]) }],
    ["capability", file, { xattrs: new Map([...file.xattrs, ["security.capability", Uint8Array.of(1)]]) }],
  ] as ReadonlyArray<readonly [string, Entry, Partial<Entry>]>)("sees another %s", (_, entry, change) => {
    expect(compareEntries({ ...entry, ...change }, entry, "content")).toBe("changed");
    expect(compareEntries(entry, { ...entry, ...change }, "content")).toBe("changed");
  });

  it("sees another device", () => {
    const device: Entry = { ...file, kind: "block-device", device: 0x801n };
    expect(compareEntries({ ...device, device: 0x802n }, device, "content")).toBe("changed");
    expect(compareEntries({ ...device }, device, "content")).toBe("same");
  });

  it("passes over a directory's size, a symlink's mode, and this node's own xattrs", () => {
    expect(compareEntries({ ...directory, size: 8192 }, directory, "content")).toBe("same");
    expect(compareEntries({ ...symlink, mode: 0o700, size: 4 }, symlink, "content")).toBe("same");
    const marked = new Map([
      ...directory.xattrs,
      ...xattrs({ "trusted.overlay.origin": 1, "security.selinux": 2 }),
    ]);
    expect(compareEntries({ ...directory, xattrs: marked }, directory, "content")).toBe("same");
  });
});

describe("isOwnXattr()", () => {
  it.each([
    ["user.x", true],
    ["security.capability", true],
    ["system.posix_acl_access", true],
    ["trusted.overlay.opaque", false],
    ["trusted.x", false],
    ["security.selinux", false],
  ])("of %s is %s", (name, own) => {
    expect(isOwnXattr(name)).toBe(own);
  });
});
