// Puts the body of an answer in its place as it arrives, and holds it to its length.
import { createHash, type Hash } from "node:crypto";
import fs from "node:fs";
import type { Range } from "../core/ranges.ts";
import type { Incoming } from "./incoming.ts";
import type { Ending, PourOrder } from "./receiver-messages.ts";

/** After so many bytes, or at a gap, it is told what is there: seldom enough to cost nothing, often enough to be followed. */
const TOLD_BYTES = 256 * 1024;
/** Nobody follows what is hashed on its way: it is told for those who are told how far it is. */
const TOLD_HASHED_BYTES = 1024 * 1024;

/** What the disk said to a write is the cause. */
export class WriteRefused extends Error {}

/** Why a body is not read on. */
class Enough extends Error {
  readonly ending: Ending;
  constructor(ending: Ending) {
    super("not wanted any more");
    this.ending = ending;
  }
}

type Tell = (range: Range, digest: string | undefined) => void;

/**
 * Resolves when all that is wanted is in its place and the answer ended where it should, or how it ended else; then
 * and when it rejects (what broke it off; WriteRefused), all that was put before was told.
 */
export async function pourInto(incoming: Incoming, order: PourOrder, tell: Tell): Promise<Ending> {
  const pouring = new Pouring(order, tell);
  try {
    await incoming.pour((chunk) => pouring.take(chunk));
    return pouring.isAtEnd ? "whole" : "fewer";
  } catch (error) {
    if (error instanceof Enough) return error.ending;
    throw error;
  } finally {
    pouring.tellRest();
  }
}

class Pouring {
  readonly #order: PourOrder;
  readonly #tell: Tell;
  readonly #rest: Range[];
  readonly #hash: Hash | undefined;
  readonly #toldBytes: number;
  #at: number;
  #untold: Range = { start: 0, end: 0 };

  constructor(order: PourOrder, tell: Tell) {
    this.#order = order;
    this.#tell = tell;
    this.#rest = [...order.wanted];
    this.#at = order.start;
    this.#hash = order.hashes ? createHash("sha256") : undefined;
    this.#toldBytes = order.hashes ? TOLD_HASHED_BYTES : TOLD_BYTES;
  }

  get isAtEnd(): boolean {
    return this.#at === this.#order.end;
  }

  take(chunk: Buffer): void {
    const from = this.#at;
    const to = from + chunk.length;
    if (to > this.#order.end) throw new Enough("more");
    for (let range = this.#rest[0]; range !== undefined && range.start < to; range = this.#rest[0]) {
      const piece = { start: Math.max(range.start, from), end: Math.min(range.end, to) };
      this.#put(piece, chunk.subarray(piece.start - from, piece.end - from));
      if (range.end > to) break;
      this.#rest.shift();
    }
    this.#at = to;
    // Of an answer that has more than is wanted; the end of one that has not is awaited.
    if (this.#rest.length === 0 && !this.isAtEnd) throw new Enough("whole");
  }

  tellRest(): void {
    const told = this.#untold;
    if (told.start === told.end) return;
    this.#untold = { start: told.end, end: told.end };
    const isLast = told.end === this.#order.wanted.at(-1)?.end;
    this.#tell(told, isLast && this.#hash !== undefined ? `sha256:${this.#hash.digest("hex")}` : undefined);
  }

  #put({ start, end }: Range, bytes: Uint8Array): void {
    if (start !== this.#untold.end) this.tellRest();
    write(this.#order.into, start, bytes);
    this.#hash?.update(bytes);
    this.#untold = { start: start === this.#untold.end ? this.#untold.start : start, end };
    if (end - this.#untold.start >= this.#toldBytes) this.tellRest();
  }
}

function write(into: number | SharedArrayBuffer, offset: number, bytes: Uint8Array): void {
  if (typeof into !== "number") return new Uint8Array(into).set(bytes, offset);
  try {
    for (let done = 0; done < bytes.length; )
      done += fs.writeSync(into, bytes, done, bytes.length - done, offset + done);
  } catch (error) {
    throw new WriteRefused("a write was refused", { cause: error });
  }
}
