// Reads a tar archive from chunks of any size, one entry after the other, without waiting for anything.
import { Failure } from "../core/failure.ts";
import { Chunks, cut } from "./chunks.ts";
import { entryFailure, showName } from "./entry-name.ts";
import { parsePax } from "./pax.ts";
import { checkPieces, readSparse, type Sparse } from "./sparse.ts";
import { type Ahead, type TarEntry, toEntry } from "./tar-entry.ts";
import { BLOCK, type Header, parseHeader, textAt } from "./tar-header.ts";

/** Is told of each entry in turn. The bytes given to `write` may change once it returns. */
export interface TarSink {
  begin(entry: TarEntry): void;
  write(bytes: Buffer, position: number): void;
  finish(): void;
}

/** Of what is said ahead of an entry; it is held in memory. */
const LARGEST_AHEAD = 1 << 20;
/** Tools pad to their record size, which is far less. */
const LONGEST_TAIL = 64 << 20;
const AHEAD = new Set(["L", "K", "x", "X", "g"]);
const PLAIN: ReadonlyMap<string, TarEntry["type"]> = new Map([
  ["0", "file"],
  ["\0", "file"],
  ["7", "file"],
  ["S", "file"],
  ["1", "link"],
  ["2", "symlink"],
  ["3", "character"],
  ["4", "block"],
  ["5", "directory"],
  ["6", "fifo"],
]);

/** Failures of `push` and `end`: invalid, unsupported, and whatever the sink throws. Not to be used after one. */
export class TarReader {
  readonly #sink: TarSink;
  readonly #mayGoOn: () => boolean;
  readonly #chunks = new Chunks();
  readonly #run: Generator<void, void, void>;
  #isPaused = false;

  /** `mayGoOn` is asked before each entry. */
  constructor(sink: TarSink, mayGoOn: () => boolean) {
    this.#sink = sink;
    this.#mayGoOn = mayGoOn;
    this.#run = this.#archive();
  }

  /** True when it took all of the chunk; false when it may not go on, until `resume`. */
  push(chunk: Buffer): boolean {
    this.#chunks.push(chunk);
    return this.resume();
  }

  /** After the last chunk; refuses an archive that stops within an entry. Answers as `push`. */
  end(): boolean {
    this.#chunks.end();
    return this.resume();
  }

  resume(): boolean {
    this.#run.next();
    return !this.#isPaused;
  }

  *#archive(): Generator<void, void, void> {
    let ahead: Ahead = {};
    for (;;) {
      const block = yield* this.#chunks.take(BLOCK, "may end");
      if (block === undefined) break;
      const header = parseHeader(block);
      if (header === undefined) {
        yield* this.#tail();
        break;
      }
      if (AHEAD.has(header.type)) {
        yield* this.#ahead(header, ahead);
        continue;
      }
      while (!this.#mayGoOn()) {
        this.#isPaused = true;
        yield;
        this.#isPaused = false;
      }
      // The block is lost with its chunk, and an old sparse map is in it.
      yield* this.#entry(header.type === "S" ? Buffer.from(block) : block, header, ahead);
      ahead = {};
    }
    if (ahead.pax !== undefined || ahead.longName !== undefined || ahead.longTarget !== undefined)
      throw cut();
  }

  *#ahead(header: Header, ahead: Ahead): Generator<void, void, void> {
    if (header.size > LARGEST_AHEAD)
      throw new Failure(
        "invalid",
        `an extended header in it has ${header.size} bytes; the most is ${LARGEST_AHEAD}`,
      );
    const bytes = Buffer.from(yield* this.#chunks.take(header.size));
    yield* this.#chunks.skip(padding(header.size));
    if (header.type === "L") ahead.longName = textAt(bytes, 0, bytes.length);
    else if (header.type === "K") ahead.longTarget = textAt(bytes, 0, bytes.length);
    // A global one is checked and otherwise left alone, as containerd and ORAS do: the same archive is the same tree.
    else if (header.type === "g") parsePax(bytes);
    else ahead.pax = parsePax(bytes);
  }

  *#entry(block: Buffer, header: Header, ahead: Ahead): Generator<void, void, void> {
    if (header.type === "V") {
      yield* this.#chunks.skip(header.size + padding(header.size));
      return;
    }
    const entry = toEntry(header, ahead, typeOf(header, ahead));
    if (entry.type === "file") {
      yield* this.#file(entry, yield* readSparse(this.#chunks, block, ahead.pax));
      return;
    }
    this.#sink.begin(entry);
    this.#sink.finish();
  }

  *#file(entry: TarEntry, sparse: Sparse | undefined): Generator<void, void, void> {
    const stored = entry.size - (sparse?.mapBytes ?? 0);
    if (sparse !== undefined) checkPieces(sparse.pieces, sparse.size, stored);
    this.#sink.begin(sparse === undefined ? entry : { ...entry, size: sparse.size });
    for (const [offset, length] of sparse?.pieces ?? [[0, stored] as const])
      yield* this.#chunks.each(length, (bytes, done) => this.#sink.write(bytes, offset + done));
    this.#sink.finish();
    yield* this.#chunks.skip(padding(entry.size));
  }

  *#tail(): Generator<void, void, void> {
    const second = yield* this.#chunks.take(BLOCK, "may end");
    if (second?.some((byte) => byte !== 0))
      throw new Failure("invalid", "a header in it is empty; pack it again");
    for (let length = 0; !this.#chunks.isEnded; ) {
      length += this.#chunks.rest().length;
      if (length > LONGEST_TAIL)
        throw new Failure("invalid", "more than 64 MiB follow the end of the archive; pack it again");
      yield;
    }
  }
}

function typeOf(header: Header, ahead: Ahead): TarEntry["type"] {
  const type = PLAIN.get(header.type);
  const name = ahead.pax?.values.get("path") ?? ahead.longName ?? header.name;
  if (type === undefined)
    throw new Failure(
      "unsupported",
      `its entry ${showName(name)} is of the type ${showName(header.type)}; pack it as a plain file`,
    );
  if (type !== "file" || !name.endsWith("/")) return type;
  // Before ustar a directory was a file whose name ends in a slash.
  if (header.size > 0)
    throw entryFailure(name, "is named as a directory and holds bytes as a file; pack it again");
  return "directory";
}

function padding(size: number): number {
  return (BLOCK - (size % BLOCK)) % BLOCK;
}
