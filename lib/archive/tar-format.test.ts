import { execFileSync } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { readStatus } from "../host/entry-status.ts";
import { findPieces } from "./data-pieces.ts";
import type { TarEntry } from "./tar-entry.ts";
import { formatEntry } from "./tar-format.ts";
import { TarReader } from "./tar-reader.ts";
import { Scratch } from "./testing/scratch.ts";

let scratch: Scratch;
beforeEach(() => {
  scratch = new Scratch();
});
afterEach(() => scratch[Symbol.dispose]());

const plain: TarEntry = {
  name: "a",
  type: "symlink",
  target: "b",
  mode: 0o4755,
  uid: 1,
  gid: 2,
  size: 0,
  mtime: { seconds: 100, nanoseconds: 0 },
  device: { major: 0, minor: 0 },
  xattrs: [],
};

function readBack(bytes: Buffer): TarEntry[] {
  const entries: TarEntry[] = [];
  const sink = { begin: (entry: TarEntry) => void entries.push(entry), write: () => {}, finish: () => {} };
  const reader = new TarReader(sink, () => true);
  reader.push(Buffer.concat([bytes, Buffer.alloc(1024)]));
  reader.end();
  return entries;
}

describe("formatEntry()", () => {
  it.each([
    ["a plain entry", {}],
    ["a long name", { name: "n".repeat(101) }],
    [
      "a long directory's name",
      { type: "directory", name: `${"n".repeat(99)}/${"m".repeat(20)}/`, target: "" },
    ],
    ["a name that is not UTF-8", { name: "\xff\n=\x01" }],
    ["a long one that is not", { name: `${"d/".repeat(90)}\xff\xfe` }],
    ["a long target", { target: "\xff".repeat(300) }],
    ["a large owner", { uid: 0xffff_fffd, gid: 2 ** 21 }],
    ["a fraction of a second", { mtime: { seconds: 5, nanoseconds: 120_000_000 } }],
    ["a nanosecond", { mtime: { seconds: 5, nanoseconds: 1 } }],
    ["a time before the epoch", { mtime: { seconds: -2, nanoseconds: 750_000_000 } }],
    ["a whole one before it", { mtime: { seconds: -7, nanoseconds: 0 } }],
    ["half a second before it", { mtime: { seconds: -1, nanoseconds: 500_000_000 } }],
    ["a time far off", { mtime: { seconds: 2 ** 36, nanoseconds: 0 } }],
    [
      "xattrs of any bytes",
      {
        xattrs: [
          ["user.e", Buffer.alloc(0)],
          ["user.\xff\n", Buffer.from([0, 10, 61, 255])],
        ],
      },
    ],
    [
      "xattrs whose names no key of the usual kind can hold",
      {
        xattrs: [
          ["user.100% a=b\xff\n=", Buffer.from([0, 10, 61, 255])],
          ["user.e=", Buffer.alloc(0)],
        ],
      },
    ],
    [
      "an xattr whose record is 99 bytes or 100",
      {
        xattrs: [
          ["user.a", Buffer.alloc(74, 1)],
          ["user.b", Buffer.alloc(75, 1)],
        ],
      },
    ],
    ["a fifo", { type: "fifo", target: "" }],
    ["a hardlink", { type: "link", target: "x/y" }],
  ] as ReadonlyArray<readonly [string, Partial<TarEntry>]>)(
    "writes %s so that it is read back",
    (_what, more) => {
      const entry = { ...plain, ...more };
      expect(readBack(formatEntry(entry))).toEqual([entry]);
    },
  );

  it("says in an extended header only what a plain one cannot", () => {
    expect(formatEntry(plain).length).toBe(512);
    expect(formatEntry({ ...plain, mtime: { seconds: 1, nanoseconds: 1 } }).length).toBe(3 * 512);
  });

  it("takes a file of more than 8 GiB", () => {
    const bytes = formatEntry({ ...plain, type: "file", target: "", size: 2 ** 33 });
    expect(bytes.toString("latin1")).toContain("size=8589934592\n");
  });

  it("is read by GNU tar, names that are not UTF-8 too", () => {
    const long = `${"d/".repeat(60)}\xff`;
    const file = path.join(scratch.path, "a.tar");
    const entries = [
      { ...plain, name: long },
      { ...plain, name: "x", mtime: { seconds: 1, nanoseconds: 250_000_000 } },
    ];
    fs.writeFileSync(
      file,
      Buffer.concat([...entries.map((entry) => formatEntry(entry)), Buffer.alloc(1024)]),
    );
    const env = { ...process.env, LC_ALL: "C", TZ: "UTC" };
    const out = execFileSync("tar", ["--full-time", "-tvf", file], { encoding: "latin1", env });
    expect(out).toContain(`${"d/".repeat(60)}\\377 -> b`);
    expect(out).toContain("1970-01-01 00:00:01.25 x");
  });
});

describe("findPieces()", () => {
  function piecesOf(write: (fd: number) => void, most?: number) {
    const file = path.join(scratch.path, "file");
    const fd = fs.openSync(file, "w+");
    try {
      write(fd);
      return findPieces(fd, readStatus(fd, Buffer.alloc(1)), most);
    } finally {
      fs.closeSync(fd);
    }
  }

  it("finds none worth it in a file without holes", () => {
    expect(piecesOf((fd) => fs.writeSync(fd, Buffer.alloc(1 << 20, 1)))).toBeUndefined();
    expect(piecesOf((fd) => fs.ftruncateSync(fd, 4096))).toBeUndefined();
  });

  it("counts zeros that are stored as holes, so that the same content has the same pieces", () => {
    const content = (zeros: boolean) => (fd: number) => {
      fs.ftruncateSync(fd, 1 << 20);
      fs.writeSync(fd, "x", 40_960);
      if (zeros) fs.writeSync(fd, Buffer.alloc(100_000), 0, 100_000, 500_000);
      fs.writeSync(fd, "y", 700_000);
    };
    const pieces = piecesOf(content(false));
    expect(pieces).toEqual([
      [40_960, 4096],
      [696_320, 4096],
      [1 << 20, 0],
    ]);
    expect(piecesOf(content(true))).toEqual(pieces);
  });

  it("reads nothing of 100 GB of holes", () => {
    const pieces = piecesOf((fd) => {
      fs.ftruncateSync(fd, 100e9);
      fs.writeSync(fd, "end", 100e9 - 3);
    });
    expect(pieces).toEqual([[Math.floor(100e9 / 4096) * 4096, 100e9 % 4096]]);
  });

  it("joins the pieces of a file that has more of them than readers take", () => {
    const pieces = piecesOf((fd) => {
      for (let at = 0; at < 50; at++) fs.writeSync(fd, "x", at * 3 * 4096);
      fs.ftruncateSync(fd, 1e7);
    }, 40);
    expect(pieces?.length).toBeLessThanOrEqual(41);
    expect(pieces?.[0]?.[0]).toBe(0);
    expect(pieces?.at(-1)).toEqual([1e7, 0]);
    const held = (at: number) => pieces?.some(([offset, length]) => offset <= at && at < offset + length);
    expect([0, 3 * 4096 * 27, 3 * 4096 * 49].every(held)).toBe(true);
  });
});
