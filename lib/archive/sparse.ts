// Where the pieces of a sparse file lie that an archive holds, in the ways GNU tar has written them.
import { Failure } from "../core/failure.ts";
import type { Chunks } from "./chunks.ts";
import { showName } from "./entry-name.ts";
import { type PaxRecords, parseWhole } from "./pax.ts";
import { BLOCK, numberAt } from "./tar-header.ts";

export type Piece = readonly [offset: number, length: number];

/** More than any tool writes; each costs memory before a byte of the file is seen. */
const MOST_PIECES = 1_000_000;
const OLD_SPARSE = "S".charCodeAt(0);
const IN_HEADER = { start: 386, count: 4, more: 482 };
const IN_EXTENSION = { start: 0, count: 21, more: 504 };

/** What an archive holds of a sparse file; with the map among the data, how long that was. */
export type Sparse = { readonly pieces: readonly Piece[]; readonly size: number; readonly mapBytes: number };

/** Nothing for an entry that is not sparse. Takes the map where it stands before the data. */
export function* readSparse(
  chunks: Chunks,
  block: Buffer,
  pax: PaxRecords | undefined,
): Generator<void, Sparse | undefined, void> {
  if (block[156] === OLD_SPARSE) return yield* readOldSparse(chunks, block);
  const form = sparseForm(pax);
  if (pax === undefined || form === undefined) return undefined;
  if (form === "map")
    return yield* readSparseMap(chunks, parseWhole(pax.values.get("GNU.sparse.realsize") ?? ""));
  const list = pax.values.get("GNU.sparse.map");
  return {
    pieces: list === undefined ? pax.sparse : parseSparseList(list),
    size: parseWhole(pax.values.get("GNU.sparse.size") ?? ""),
    mapBytes: 0,
  };
}

function* readOldSparse(chunks: Chunks, block: Buffer): Generator<void, Sparse, void> {
  const { pieces, more } = parseOldSparse(block, "header");
  for (let another = more; another; ) {
    const next = parseOldSparse(yield* chunks.take(BLOCK), "extension");
    pieces.push(...next.pieces);
    if (pieces.length > MOST_PIECES) throw broken();
    another = next.more;
  }
  return { pieces, size: numberAt(block, 483, 12), mapBytes: 0 };
}

function* readSparseMap(chunks: Chunks, size: number): Generator<void, Sparse, void> {
  const map = new SparseMapReader();
  for (let mapBytes = BLOCK; ; mapBytes += BLOCK) {
    const pieces = map.push(yield* chunks.take(BLOCK));
    if (pieces !== undefined) return { pieces, size, mapBytes };
  }
}

function sparseForm(pax: PaxRecords | undefined): "list" | "map" | undefined {
  const major = pax?.values.get("GNU.sparse.major");
  if (major === "1" && pax?.values.get("GNU.sparse.minor") === "0") return "map";
  if (major !== undefined && major !== "0")
    throw new Failure(
      "unsupported",
      `a sparse file in it is of the form ${showName(major)}; pack it without --sparse`,
    );
  return pax?.values.has("GNU.sparse.map") || (pax?.sparse.length ?? 0) > 0 ? "list" : undefined;
}

/** The pieces that an old GNU header, or one of the blocks that continue it, holds; and whether another block does. */
function parseOldSparse(block: Buffer, where: "header" | "extension"): { pieces: Piece[]; more: boolean } {
  const { start, count, more } = where === "header" ? IN_HEADER : IN_EXTENSION;
  const pieces: Piece[] = [];
  for (let at = start; at < start + count * 24 && block[at] !== 0; at += 24)
    pieces.push([numberAt(block, at, 12), numberAt(block, at + 12, 12)]);
  return { pieces, more: block[more] !== 0 };
}

/** The list that the 0.1 form has in its extended header: `offset,length,…`. */
function parseSparseList(text: string): Piece[] {
  const numbers = text === "" ? [] : text.split(",").map(parseWhole);
  return toPieces(numbers);
}

/** Reads the map before the data of the 1.0 form, block by block; `pieces` once it is whole. */
class SparseMapReader {
  readonly #numbers: number[] = [];
  #rest = "";

  push(block: Buffer): Piece[] | undefined {
    const lines = (this.#rest + block.toString("latin1")).split("\n");
    this.#rest = lines.pop() ?? "";
    if (this.#rest.length > 512) throw broken();
    for (const line of lines) {
      if (this.#isWhole()) break;
      this.#numbers.push(parseWhole(line));
    }
    return this.#isWhole() ? toPieces(this.#numbers.slice(1)) : undefined;
  }

  #isWhole(): boolean {
    const count = this.#numbers[0];
    if (count === undefined) return false;
    if (count > MOST_PIECES) throw broken();
    return this.#numbers.length === 1 + 2 * count;
  }
}

/** Failure `invalid` unless they follow each other within `size` and hold `stored` bytes together. */
export function checkPieces(pieces: readonly Piece[], size: number, stored: number): void {
  let end = 0;
  let total = 0;
  if (pieces.length > MOST_PIECES) throw broken();
  for (const [offset, length] of pieces) {
    if (offset < end || length < 0 || offset + length > size) throw broken();
    end = offset + length;
    total += length;
  }
  if (total !== stored) throw broken();
}

function toPieces(numbers: readonly number[]): Piece[] {
  if (numbers.length % 2 !== 0) throw broken();
  return Array.from({ length: numbers.length / 2 }, (_, at) => [
    numbers[2 * at] ?? 0,
    numbers[2 * at + 1] ?? 0,
  ]);
}

function broken(): Failure {
  return new Failure("invalid", "the map of a sparse file in it contradicts itself; pack it again");
}
