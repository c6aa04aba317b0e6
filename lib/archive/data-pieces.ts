// Which parts of a sparse file are worth packing: all but its blocks of zeros.
import fs from "node:fs";
import { nextData, nextHole } from "../host/data-ranges.ts";
import type { EntryStatus } from "../host/entry-status.ts";
import type { Piece } from "./sparse.ts";

const BLOCK_BYTES = 4096;
const CHUNK_BYTES = 1 << 20;
/** Less is not worth a map. */
const LEAST_SAVED = 64 << 10;
/** Go's reader takes a map of at most 1 MiB, of which a piece may need 32 bytes. */
const MOST_PIECES = 30_000;
const ZEROS = Buffer.alloc(BLOCK_BYTES);

/**
 * Nothing for a file that is better packed as it is. What counts is where the zeros are, not which of them the file
 * system left out, so that the same content has the same pieces on every node.
 */
export function findPieces(
  fd: number,
  { size, blocks }: EntryStatus,
  most = MOST_PIECES,
): readonly Piece[] | undefined {
  if (!mayBeSparse({ size, blocks })) return undefined;
  const gathered = new Gathered(most);
  const chunk = Buffer.allocUnsafe(CHUNK_BYTES);
  for (let at = nextData(fd, 0); at !== undefined && at < size; at = nextData(fd, at)) {
    const end = Math.min(nextHole(fd, at) ?? size, size);
    // Blocks are counted from the file's start, wherever its data begin.
    for (let from = at - (at % BLOCK_BYTES); from < end; from += CHUNK_BYTES) {
      const length = fs.readSync(fd, chunk, 0, Math.min(CHUNK_BYTES, end - from), from);
      gathered.take(chunk.subarray(0, length), from);
      if (length === 0) break;
    }
    at = end;
  }
  const pieces = gathered.pieces;
  const saved = pieces.reduce((rest, [, length]) => rest - length, size);
  if (saved < LEAST_SAVED) return undefined;
  const [offset, length] = pieces.at(-1) ?? [0, 0];
  // GNU tar learns from it that the file ends in a hole.
  return offset + length < size ? [...pieces, [size, 0]] : pieces;
}

/** Whether the file system leaves out so much of it that it is worth a look. */
export function mayBeSparse({ size, blocks }: Pick<EntryStatus, "size" | "blocks">): boolean {
  return size - blocks * 512 >= LEAST_SAVED;
}

/** Joined over wider gaps the more of them there are. */
class Gathered {
  #pieces: Array<[offset: number, length: number]> = [];
  #gap = 0;
  readonly #most: number;

  constructor(most: number) {
    this.#most = most;
  }

  get pieces(): readonly Piece[] {
    return this.#pieces;
  }

  take(bytes: Buffer, from: number): void {
    for (let at = 0; at < bytes.length; at += BLOCK_BYTES) {
      const length = Math.min(BLOCK_BYTES, bytes.length - at);
      if (bytes.compare(ZEROS, 0, length, at, at + length) !== 0) this.#add(from + at, length);
    }
  }

  #add(offset: number, length: number): void {
    const last = this.#pieces.at(-1);
    if (last !== undefined && offset - (last[0] + last[1]) <= this.#gap)
      last[1] = Math.max(last[1], offset + length - last[0]);
    else this.#pieces.push([offset, length]);
    while (this.#pieces.length > this.#most) this.#widen();
  }

  #widen(): void {
    this.#gap = this.#gap === 0 ? BLOCK_BYTES : 4 * this.#gap;
    const pieces = this.#pieces;
    this.#pieces = [];
    for (const [offset, length] of pieces) this.#add(offset, length);
  }
}
