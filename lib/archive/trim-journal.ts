// Notes what is to be changed in a Layer so that it shows here what its archive shows elsewhere.
import fs from "node:fs";
import { open, rm } from "node:fs/promises";
import path from "node:path";
import type { Time } from "../host/entry-status.ts";

/**
 * `remove` a tree that shows nothing of its own, `drop` one that does, make a `whiteout`, make a directory `opaque` or
 * `transparent`, set a directory's `time`.
 * Paths are latin1 text, relative to the Layer.
 */
export type Trim =
  | { readonly verb: "remove" | "drop" | "whiteout" | "opaque" | "transparent"; readonly path: string }
  | { readonly verb: "time"; readonly path: string; readonly time: Time };

/** What must be done before anything is removed, and what then. */
const STAGES = ["trim-1", "trim-2"] as const;
/** Is there while the steps are taken: only then is the journal known to be whole. */
const SEAL = "trimming";
const FLUSH_BYTES = 1 << 16;

/** Two files in the directory, none where there is nothing to do: what is noted may be more than memory takes. */
export class TrimJournal {
  readonly #lists: readonly [List, List];

  constructor(directory: string) {
    this.#lists = [new List(path.join(directory, STAGES[0])), new List(path.join(directory, STAGES[1]))];
  }

  /** What makes the Layer show the same without that which is removed. */
  prepare(trim: Trim): void {
    this.#lists[0].add(trim);
  }

  finish(trim: Trim): void {
    this.#lists[1].add(trim);
  }

  /** How many steps it has. */
  close(): number {
    return this.#lists.reduce((sum, list) => sum + list.close(), 0);
  }
}

/** The journal in that directory, and that its steps are being taken, survive a power loss. */
export async function sealTrims(directory: string): Promise<void> {
  for (const stage of STAGES) {
    const list = path.join(directory, stage);
    if (fs.existsSync(list)) await sync(list, "r");
  }
  await sync(path.join(directory, SEAL), "w");
  await sync(directory, "r");
}

export function areTrimsSealed(directory: string): boolean {
  return fs.existsSync(path.join(directory, SEAL));
}

/** All steps have been taken. */
export async function unsealTrims(directory: string): Promise<void> {
  await rm(path.join(directory, SEAL), { force: true });
}

async function sync(at: string, flags: "r" | "w"): Promise<void> {
  const file = await open(at, flags, 0o600);
  try {
    await file.sync();
  } finally {
    await file.close();
  }
}

/** How many steps the journal in that directory has: fewer than were noted where a power loss cut it. */
export async function countTrims(directory: string): Promise<number> {
  const counts = STAGES.map((stage) => countIn(path.join(directory, stage)));
  return (await Promise.all(counts)).reduce((sum, count) => sum + count, 0);
}

async function countIn(list: string): Promise<number> {
  if (!fs.existsSync(list)) return 0;
  let count = 0;
  for await (const chunk of fs.createReadStream(list)) count += countEnds(chunk as Uint8Array);
  return count;
}

const countEnds = (bytes: Uint8Array) => bytes.reduce((count, byte) => (byte === 0 ? count + 1 : count), 0);

/** Every step in its order, of the journal in that directory. */
export function* readTrims(directory: string): Generator<Trim, void, void> {
  for (const stage of STAGES) yield* readList(path.join(directory, stage));
}

class List {
  readonly #path: string;
  #count = 0;
  #kept = "";

  constructor(file: string) {
    this.#path = file;
  }

  add(trim: Trim): void {
    const time = trim.verb === "time" ? `${trim.time.seconds}.${trim.time.nanoseconds}` : "";
    // A path holds no NUL, and may hold anything else.
    this.#kept += `${trim.verb} ${time}/${trim.path}\0`;
    this.#count++;
    if (this.#kept.length >= FLUSH_BYTES) this.#flush();
  }

  close(): number {
    this.#flush();
    return this.#count;
  }

  #flush(): void {
    if (this.#kept !== "") fs.appendFileSync(this.#path, this.#kept, { encoding: "latin1", mode: 0o600 });
    this.#kept = "";
  }
}

function* readList(file: string): Generator<Trim, void, void> {
  if (!fs.existsSync(file)) return;
  const fd = fs.openSync(file, "r");
  try {
    const buffer = Buffer.allocUnsafe(FLUSH_BYTES);
    let rest = "";
    for (let length = -1; length !== 0; ) {
      length = fs.readSync(fd, buffer, 0, buffer.length, null);
      const records = (rest + buffer.toString("latin1", 0, length)).split("\0");
      rest = records.pop() ?? "";
      yield* records.map(parseTrim);
    }
    if (rest !== "") throw new Error(`the journal "${file}" is cut`);
  } finally {
    fs.closeSync(fd);
  }
}

function parseTrim(record: string): Trim {
  const match = /^([a-z]+) (?:(-?\d+)\.(\d+))?\/([^]*)$/.exec(record);
  if (match === null) throw new Error("a journal of what to trim is broken");
  const [, verb = "", seconds, nanoseconds, at = ""] = match;
  if (verb !== "time") return { verb: verb as "remove", path: at };
  return { verb, path: at, time: { seconds: Number(seconds), nanoseconds: Number(nanoseconds) } };
}
