// Whether two files of one size hold the same, without reading what is a hole in both.
import fs from "node:fs";
import { nextData } from "../host/data-ranges.ts";
import type { EntryStatus } from "../host/entry-status.ts";
import type { Place } from "./copy-entry.ts";

const CHUNK_BYTES = 1 << 20;
// Reused, since nothing else runs while two files are compared.
const one = Buffer.allocUnsafe(CHUNK_BYTES);
const other = Buffer.allocUnsafe(CHUNK_BYTES);

export type FileAt = Place & { readonly status: EntryStatus };

export function hasSameBytes(left: FileAt, right: FileAt): boolean {
  const { size } = left.status;
  const hasHoles = [left, right].some(({ status }) => status.blocks * 512 < status.size);
  using opened = new DisposableStack();
  const fds = [left, right].map((file) => {
    const fd = file.directory.openFile(file.name);
    opened.defer(() => fs.closeSync(fd));
    return fd;
  }) as [number, number];
  for (let at = 0; at < size; ) {
    if (hasHoles) at = nextOfEither(fds, at, size);
    const length = Math.min(CHUNK_BYTES, size - at);
    if (!isSameChunk(fds, at, length)) return false;
    at += length;
  }
  return true;
}

function nextOfEither(fds: readonly number[], from: number, size: number): number {
  return Math.min(...fds.map((fd) => nextData(fd, from) ?? size));
}

function isSameChunk([left, right]: readonly [number, number], at: number, length: number): boolean {
  const read = readFully(left, one, at, length);
  return read === readFully(right, other, at, length) && one.compare(other, 0, read, 0, read) === 0;
}

/** Fewer only at the end of the file. */
export function readFully(fd: number, into: Buffer, at: number, length: number): number {
  let done = 0;
  for (let read = -1; done < length && read !== 0; done += read)
    read = fs.readSync(fd, into, done, length - done, at + done);
  return done;
}
