// Copies one entry that is not a directory, sharing the blocks of a file where the file system can.
import fs from "node:fs";
import { setImmediate } from "node:timers/promises";
import { type Directory, type Name, shareBlocks } from "../host/directory.ts";
import type { EntryStatus } from "../host/entry-status.ts";
import { type Attributes, applyToEntry, readAttributes } from "./attributes.ts";

const CHUNK_BYTES = 1 << 20;
const CHUNKS_PER_TURN = 4;

export type Place = { readonly directory: Directory; readonly name: Name };

/** How the copy is to be described, where it differs from what was copied. */
export type Describe = (attributes: Attributes, type: EntryStatus["type"]) => Attributes;

/**
 * Whether its blocks are shared. Fails with EEXIST when something is at `to`. A socket means nothing without who
 * listens, and is left out.
 */
export async function copyEntry(
  from: Place,
  status: EntryStatus,
  to: Place,
  describe: Describe = (attributes) => attributes,
): Promise<boolean> {
  const { type } = status;
  if (type === "socket") return false;
  if (type === "directory") throw new Error("a directory is not copied as one entry");
  const isShared = type === "file" && (await copyFile(from, status, to));
  if (type === "symlink") to.directory.makeSymlink(to.name, from.directory.readLink(from.name));
  else if (type !== "file") to.directory.makeNode(to.name, type, status.device);
  const attributes = readAttributes(from.directory, from.name, status);
  applyToEntry(to.directory, to.name, { type, ...describe(attributes, type) });
  return isShared;
}

async function copyFile(from: Place, { size }: EntryStatus, to: Place): Promise<boolean> {
  const source = from.directory.openFile(from.name);
  try {
    const target = to.directory.createFile(to.name, 0o600);
    try {
      if (shareBlocks(source, target)) return true;
      await copyBytes(source, target, size);
      return false;
    } finally {
      fs.closeSync(target);
    }
  } finally {
    fs.closeSync(source);
  }
}

/** Leaves holes where there is nothing but zeros. */
async function copyBytes(source: number, target: number, size: number): Promise<void> {
  const buffer = Buffer.allocUnsafe(Math.min(CHUNK_BYTES, Math.max(1, size)));
  const zeros = Buffer.alloc(buffer.length);
  for (let at = 0, turns = 1; at < size; turns++) {
    const length = fs.readSync(source, buffer, 0, buffer.length, at);
    if (length === 0) break;
    if (buffer.compare(zeros, 0, length, 0, length) !== 0) writeAll(target, buffer.subarray(0, length), at);
    at += length;
    if (turns % CHUNKS_PER_TURN === 0) await setImmediate();
  }
  fs.ftruncateSync(target, size);
}

function writeAll(target: number, bytes: Buffer, position: number): void {
  for (let done = 0; done < bytes.length; )
    done += fs.writeSync(target, bytes, done, bytes.length - done, position + done);
}
