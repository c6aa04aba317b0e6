// Spells one tar entry: a ustar header, and before it in an extended one (pax) what that cannot say.
import type { Time } from "../host/entry-status.ts";
import { formatXattr } from "./pax-xattrs.ts";
import type { Piece } from "./sparse.ts";
import type { TarEntry } from "./tar-entry.ts";
import { BLOCK } from "./tar-header.ts";

const TYPES: Readonly<Record<TarEntry["type"], string>> = {
  file: "0",
  link: "1",
  symlink: "2",
  character: "3",
  block: "4",
  directory: "5",
  fifo: "6",
};
const LONGEST = 100;
/** What readers take for one extended header: Go's, and so containerd's and ORAS's, and ours. */
export const LARGEST_PAX = 1 << 20;

/**
 * All that stands before the entry's content: the same bytes for the same entry, with nothing of who packs it or when.
 * `pieces` are of a sparse file, and written as GNU tar's form 1.0, which it, Go and libarchive read.
 */
export function formatEntry(entry: TarEntry, pieces?: readonly Piece[]): Buffer {
  const map = pieces === undefined ? Buffer.alloc(0) : formatMap(pieces);
  const stored =
    pieces === undefined ? entry.size : pieces.reduce((sum, [, length]) => sum + length, map.length);
  const records = paxOf(entry, stored);
  if (pieces !== undefined) {
    records.set("GNU.sparse.major", "1");
    records.set("GNU.sparse.minor", "0");
    records.set("GNU.sparse.name", entry.name);
    records.set("GNU.sparse.realsize", String(entry.size));
    records.delete("path");
  }
  const name = pieces === undefined ? entry.name : "GNUSparseFile.0/file";
  const header = formatBlock({ ...entry, name, size: stored }, TYPES[entry.type]);
  return records.size === 0 ? Buffer.concat([header, map]) : Buffer.concat([formatPax(records), header, map]);
}

/** How many zeros follow `bytes` of content. */
export function paddingOf(bytes: number): number {
  return (BLOCK - (bytes % BLOCK)) % BLOCK;
}

function paxOf(entry: TarEntry, stored: number): Map<string, string> {
  const records = new Map<string, string>();
  const { seconds, nanoseconds } = entry.mtime;
  if (entry.name.length > LONGEST) records.set("path", entry.name);
  if (entry.target.length > LONGEST) records.set("linkpath", entry.target);
  if (!fits(stored, 12)) records.set("size", String(stored));
  if (!fits(entry.uid, 8)) records.set("uid", String(entry.uid));
  if (!fits(entry.gid, 8)) records.set("gid", String(entry.gid));
  if (nanoseconds !== 0 || !fits(seconds, 12)) records.set("mtime", formatTime(entry.mtime));
  for (const [name, value] of entry.xattrs) records.set(...formatXattr(name, value));
  return records;
}

/** Decimal seconds; the kernel's nanoseconds count forwards before the epoch too. */
function formatTime({ seconds, nanoseconds }: Time): string {
  const isNegative = seconds < 0;
  const [whole, fraction] =
    isNegative && nanoseconds > 0
      ? [-seconds - 1, 1_000_000_000 - nanoseconds]
      : [Math.abs(seconds), nanoseconds];
  const digits = String(fraction).padStart(9, "0").replace(/0+$/, "");
  return `${isNegative ? "-" : ""}${whole}${digits === "" ? "" : `.${digits}`}`;
}

function formatPax(records: ReadonlyMap<string, string>): Buffer {
  const sorted = [...records].sort(([one], [other]) => (one < other ? -1 : 1));
  const data = Buffer.from(sorted.map(formatRecord).join(""), "latin1");
  const header = formatBlock({ ...PAX, size: data.length }, "x");
  return Buffer.concat([header, data, Buffer.alloc(paddingOf(data.length))]);
}

const PAX = {
  name: "PaxHeaders.0/entry",
  target: "",
  mode: 0o644,
  uid: 0,
  gid: 0,
  mtime: { seconds: 0, nanoseconds: 0 },
  device: { major: 0, minor: 0 },
};

/** Its length counts the digits of the length. */
function formatRecord([key, value]: readonly [string, string]): string {
  const rest = ` ${key}=${value}\n`;
  let length = rest.length + 1;
  while (String(length).length + rest.length > length) length++;
  return `${length}${rest}`;
}

function formatBlock(entry: Omit<TarEntry, "type" | "xattrs">, type: string): Buffer {
  const block = Buffer.alloc(BLOCK);
  // Cut names are in the extended header; one that ends in a slash would be taken for a directory's.
  const name = entry.name.length > LONGEST ? entry.name.slice(0, LONGEST).replace(/\/$/, "_") : entry.name;
  block.write(name, 0, "latin1");
  putNumber(block, 100, 8, entry.mode);
  putNumber(block, 108, 8, entry.uid);
  putNumber(block, 116, 8, entry.gid);
  putNumber(block, 124, 12, entry.size);
  putNumber(block, 136, 12, entry.mtime.seconds);
  block.write(type, 156, "latin1");
  block.write(entry.target.slice(0, LONGEST), 157, "latin1");
  block.write("ustar\x0000", 257, "latin1");
  putNumber(block, 329, 8, entry.device.major);
  putNumber(block, 337, 8, entry.device.minor);
  block.fill(0x20, 148, 156);
  let sum = 0;
  for (let at = 0; at < BLOCK; at++) sum += block[at] ?? 0;
  block.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148, "latin1");
  return block;
}

const fits = (value: number, length: number) => value >= 0 && value < 8 ** (length - 1);

/** Zero where it does not fit: then the extended header has it. */
function putNumber(block: Buffer, at: number, length: number, value: number): void {
  const octal = (fits(value, length) ? value : 0).toString(8);
  block.write(octal.padStart(length - 1, "0"), at, "latin1");
}

function formatMap(pieces: readonly Piece[]): Buffer {
  const text = `${pieces.length}\n${pieces.map(([offset, length]) => `${offset}\n${length}\n`).join("")}`;
  return Buffer.from(text.padEnd(text.length + paddingOf(text.length), "\0"), "latin1");
}
