// Claims changed at random, generation by generation, now on one node and now on another: both show the same after each.
import fs from "node:fs";
import { expect, it } from "vitest";
import type { CompareRule } from "../core/compare-entries.ts";
import { Descent } from "../host/descent.ts";
import { Directory, setFileTime } from "../host/directory.ts";
import { writeXattr } from "../host/xattrs.ts";
import { packMerged } from "./pack-merged.ts";

import { settleLayer } from "./settle.ts";
import { startCopy } from "./start-upper.ts";
import { Claim, shownBy } from "./testing/claim.ts";
import { Scratch } from "./testing/scratch.ts";

const WALKS = 6;
const GENERATIONS = 5;
const MOST_STEPS = 16;
/** Few, so that they meet again; some of them trouble for who takes names for text. */
const NAMES = ["a", "b", "c", "A", "new\nline", "\xff\xfe", "x".repeat(255), "back\\slash", "a=b"];
const CONTENTS = ["", "one", "two", "o".repeat(5_000), "z".repeat(70_000)];
const MODES = [0o644, 0o600, 0o4755, 0o000, 0o2775, 0o1777];
const TIMES = [
  { seconds: -5, nanoseconds: 999_999_999 },
  { seconds: -1, nanoseconds: 1 },
  { seconds: 0, nanoseconds: 0 },
  { seconds: 1_600_000_000, nanoseconds: 123_456_789 },
  { seconds: 4_000_000_000, nanoseconds: 5 },
];
/** u::rw-, u:1000:r--, g::r--, m::rw-, o::r-- */
const ACL = "0200000001000600ffffffff02000400e803000004000400ffffffff10000600ffffffff20000400ffffffff";
const XATTRS = [
  ["user.one", "31"],
  ["user.any=bytes", "00ff0a3d"],
  ["user.none", ""],
  ["system.posix_acl_access", ACL],
  ["security.capability", "0100000200200000000000000000000000000000"],
] as const;

type Draw = (below: number) => number;

/** The same numbers for the same seed (mulberry32). */
function seeded(seed: number): Draw {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below;
  };
}

class Pod {
  readonly #draw: Draw;
  readonly #said: string[];

  constructor(draw: Draw, said: string[]) {
    this.#draw = draw;
    this.#said = said;
  }

  work(top: string): void {
    for (let left = 1 + this.#draw(MOST_STEPS); left > 0; left--) {
      try {
        this.#step(top);
      } catch (error) {
        // What cannot be done in that order is not done.
        if ((error as NodeJS.ErrnoException).code === undefined) throw error;
        this.#said.push(`  ${(error as NodeJS.ErrnoException).code}`);
      }
    }
  }

  #pick<T>(of: readonly T[]): T {
    return of[this.#draw(of.length)] as T;
  }

  #step(top: string): void {
    const all = entriesOf(top);
    const directories = ["", ...all.filter(({ type }) => type === "directory").map(({ path }) => `${path}/`)];
    const fresh = bytesOf(top, this.#pick(directories) + this.#pick(NAMES));
    const does = this.#draw(16);
    this.#said.push(`${does} ${fresh.toString("latin1").slice(top.length)}`);
    if (does < 2) return fs.mkdirSync(fresh);
    if (does < 4) return writeHere(fresh, this.#pick(CONTENTS));
    if (does === 15)
      return all.forEach(({ path }) => fs.rmSync(bytesOf(top, path), { recursive: true, force: true }));
    if (does === 4) return fs.symlinkSync(this.#pick(["a", "../b", "/nowhere/else"]), fresh);
    this.#change(does, { top, fresh, ...this.#pick([{ path: "", type: "directory" }, ...all]) });
  }

  #change(
    does: number,
    { top, path, type, fresh }: { top: string; path: string; type: string; fresh: Buffer },
  ) {
    const at = bytesOf(top, path);
    this.#said.push(`  ${path}`);
    if (path === "" && does < 9) return;
    if (does === 5) return fs.linkSync(at, fresh);
    if (does < 8) return fs.rmSync(at, { recursive: true });
    if (does === 8) return fs.renameSync(at, fresh);
    if (does === 9) return fs.lchownSync(at, this.#draw(2) * 1000, this.#draw(2) * 1000);
    if (type === "symlink") return;
    if (does === 10) return fs.chmodSync(at, this.#pick(MODES));
    if (does === 11) return this.#setXattr(top, path);
    if (does === 12) return this.#setTime(at);
    if (type !== "file") return;
    if (does === 13) return fs.truncateSync(at, this.#pick([0, 10, 300_000, 5_000_001]));
    // Written anew, and the same.
    writeHere(at, fs.readFileSync(at));
  }

  #setXattr(top: string, path: string): void {
    const [key, value] = this.#pick(XATTRS);
    using cursor = new Descent(Directory.open(top));
    const components = path.split("/");
    for (const name of components.slice(0, -1)) cursor.descend(name);
    const name = components.at(-1) || ".";
    writeXattr({ directory: cursor.current, name }, key, Buffer.from(value, "hex"));
  }

  #setTime(at: Buffer): void {
    const fd = fs.openSync(at, "r");
    setFileTime(fd, this.#pick(TIMES));
    fs.closeSync(fd);
  }
}

/** Never through a symlink that the walk made: it leads out of what is the test's. */
function writeHere(file: Buffer, content: string | Buffer): void {
  const { O_WRONLY, O_CREAT, O_TRUNC, O_NOFOLLOW } = fs.constants;
  const fd = fs.openSync(file, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW, 0o644);
  try {
    fs.writeFileSync(fd, content);
  } finally {
    fs.closeSync(fd);
  }
}

const bytesOf = (top: string, path: string) =>
  Buffer.concat([Buffer.from(`${top}/`), Buffer.from(path, "latin1")]);

function entriesOf(top: string): ReadonlyArray<{ readonly path: string; readonly type: string }> {
  const found: Array<{ readonly path: string; readonly type: string }> = [];
  const walk = (directory: Directory, prefix: string) => {
    for (const name of directory.list().sort()) {
      const { type } = directory.status(name);
      found.push({ path: prefix + name, type });
      if (type !== "directory") continue;
      using below = directory.enter(name);
      walk(below, `${prefix}${name}/`);
    }
  };
  using directory = Directory.open(top);
  walk(directory, "");
  return found;
}

async function bringWhole(scratch: Scratch, layers: readonly string[]): Promise<string[]> {
  const directory = scratch.directory();
  const { parts } = await packMerged({ layers, compression: "zstd", layerMax: 2 ** 30, directory });
  const [part] = parts;
  if (part === undefined) return [];
  const { path, diffId } = part;
  const made = await scratch.unpack(fs.readFileSync(path), { compression: "zstd", diffId });
  await settleLayer(made.at, [], made.unsettled);
  return [made.at];
}

/** A name that a pod wrote again with the same is no change, and so the base's again, together with its other names. */
const withoutLinks = (shown: Readonly<Record<string, string>>) =>
  Object.entries(shown).map(([name, facts]) => [name, facts.split(" same as ")[0]]);

type Layers = readonly string[];

/** What a pod makes of a claim, and what it shows then; packed, trimmed, and brought to the other node. */
async function writeBack(walk: Walk, here: Layers, there: Layers): Promise<readonly [Layers, Layers]> {
  const { scratch, draw, pod, compare } = walk;
  const isCopy = draw(3) === 0;
  const claim = new Claim(scratch, here);
  if (isCopy) {
    fs.rmdirSync(claim.upper);
    await startCopy(claim.upper, here, {});
    pod.work(claim.upper);
  } else claim.use((top) => pod.work(top));
  const own = isCopy ? [claim.upper] : [claim.upper, ...here];
  const shown = shownBy(scratch, own, compare);
  const packed = await claim.pack({ compare, kind: isCopy ? "plain" : "overlay" });
  expect(packed.leftOut.count).toBe(0);
  let isHasty = false;
  claim.trim(packed, () => {
    isHasty ||= draw(40) === 0;
    return isHasty;
  });
  const left = shownBy(scratch, own, compare);
  expect(withoutLinks(left)).toEqual(withoutLinks(shown));
  const brought = draw(5) === 0 ? await bringWhole(scratch, own) : await claim.bring(packed, there);
  expect(shownBy(scratch, brought, compare)).toEqual(left);
  return [own, brought];
}

type Walk = {
  readonly scratch: Scratch;
  readonly draw: Draw;
  readonly pod: Pod;
  readonly compare: CompareRule;
};

it.each(Array.from({ length: WALKS }, (_, at) => at + 1))(
  "claims of two nodes show the same on both, whatever pods do, in walk %i",
  async (seed) => {
    using scratch = new Scratch();
    const draw = seeded(seed);
    const said: string[] = [];
    const walk = {
      scratch,
      draw,
      pod: new Pod(draw, said),
      compare: draw(2) === 0 ? "content" : "exact",
    } as const;
    let nodes: readonly [Layers, Layers] = [[], []];
    try {
      for (let generation = 1; generation <= GENERATIONS; generation++) {
        said.push(`generation ${generation}`);
        const [here, there] = draw(2) === 0 ? nodes : nodes.toReversed();
        nodes = await writeBack(walk, here ?? [], there ?? []);
      }
    } catch (error) {
      throw new Error(`after ${said.join("\n")}`, { cause: error });
    }
  },
);
