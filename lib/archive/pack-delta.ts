// Packs what really changed: what a claim's pods left, held against what its base shows.
import type { CompareRule } from "../core/compare-entries.ts";
import type { EntryStatus } from "../host/entry-status.ts";
import { countEntries } from "./count-entries.ts";
import { DEVICE_NOTE, isDevice, type LeftOut, LeftOutNotes, MARKS_NOTE } from "./left-out.ts";
import { findKeptLinks } from "./link-groups.ts";
import type { Shown } from "./merged-descent.ts";
import { hasOverlayXattrs } from "./overlay-marks.ts";
import { packFailure } from "./pack-failure.ts";
import { PackTally } from "./pack-progress.ts";
import { type Compared, isSameEntry, mayBeSame, readPackedAttributes } from "./packed-attributes.ts";
import type { PackedPart } from "./packed-part.ts";
import { PackedParts, type PackOutput } from "./packed-parts.ts";
import { ReplacedBytes } from "./replaced-bytes.ts";
import { TreeWriter } from "./tree-writer.ts";
import { TrimJournal } from "./trim-journal.ts";
import { type UpperPlace, type WalkedTrees, type WalkStep, walkUpper } from "./upper-walk.ts";

export type DeltaJob = WalkedTrees &
  PackOutput & {
    readonly compare: CompareRule;
    /** Device nodes are packed like other entries. */
    readonly devices?: boolean;
  };

export type Packed = {
  /** Lowest first; none where nothing changed. */
  readonly parts: readonly PackedPart[];
  readonly entries: number;
  /** Of files, without holes. */
  readonly bytes: number;
  readonly leftOut: LeftOut;
};

export type PackedDelta = Packed & {
  /** Entries that equal the base's, and are in no part. */
  readonly unchanged: number;
  /** What the directory takes on the disk without what equals the base; of a `plain` one, all of it. */
  readonly kept: { readonly bytes: number; readonly inodes: number };
  /** Of files that the base shows and this hides, without holes: what both show together is less by so much. */
  readonly replaced: number;
  /** How many steps the journal in the output's directory has for trimLayer(); of a `plain` directory only what was left out goes. */
  readonly trims: number;
};

/**
 * The same change gives the same bytes, on any node and whenever it is packed. Nothing may write to the trees
 * meanwhile. Failures: full, unavailable, unsupported, conflict.
 */
export async function packDelta(job: DeltaJob, tally = new PackTally()): Promise<PackedDelta> {
  using parts = new PackedParts(job, tally);
  tally.expect(countEntries(job.upper));
  return await new DeltaPacker(job, parts, tally).pack();
}

/** What a level still has to be told when it is left. */
type Level = {
  readonly isSame: boolean;
  readonly below: Compared | undefined;
  /** What is to go from it, where not all of it does. */
  readonly going: string[];
  bares: boolean;
};

class DeltaPacker {
  readonly #job: DeltaJob;
  readonly #parts: PackedParts;
  readonly #tally: PackTally;
  readonly #writer: TreeWriter;
  readonly #journal: TrimJournal;
  /** What equals the base is there all the same in a directory that is the whole. */
  readonly #isWhole: boolean;
  /** Looked for with the first file of several names. */
  #keptLinks: ReadonlySet<string> | undefined;
  readonly #levels: Level[] = [];
  readonly #leftOut = new LeftOutNotes();
  #unchanged = 0;
  #keptBytes = 0;
  #keptInodes = 0;
  readonly #replaced = new ReplacedBytes();

  constructor(job: DeltaJob, parts: PackedParts, tally: PackTally) {
    this.#job = job;
    this.#tally = tally;
    this.#parts = parts;
    this.#writer = new TreeWriter(parts, job, this.#leftOut);
    this.#journal = new TrimJournal(job.directory);
    this.#isWhole = job.kind === "plain";
  }

  async pack(): Promise<PackedDelta> {
    for (const step of walkUpper(this.#job, this.#replaced)) {
      if (step.kind === "directory") await this.#enter(step);
      else if (step.kind === "inside") await this.#look(step);
      else if (step.kind === "leave") this.#leave();
      else if (step.kind === "entry") await this.#take(step);
      else await this.#miss(step);
      if (step.kind !== "inside" && step.kind !== "leave") this.#tally.look();
    }
    const parts = await this.#parts.close();
    return {
      parts,
      entries: this.#writer.entries,
      bytes: this.#writer.bytes,
      leftOut: this.#leftOut.toLeftOut(),
      unchanged: this.#unchanged,
      kept: { bytes: Math.ceil(this.#keptBytes), inodes: Math.ceil(this.#keptInodes) },
      replaced: this.#replaced.bytes,
      trims: this.#journal.close(),
    };
  }

  async #enter(step: UpperPlace): Promise<void> {
    const { own, below, isSame } = this.#hold(step);
    if (step.below !== undefined) this.#replaced.add(step.below);
    this.#weigh(step.status);
    // Content alone counts: then its time is the base's, not that of what happened in it.
    this.#writer.enter(step.name, isSame && below !== undefined ? below.attributes : own.attributes);
    this.#levels.push({ isSame, below, going: [], bares: false });
    if (!isSame) await this.#writer.announce();
  }

  async #look({ hides, isOpaque }: WalkStep & { readonly kind: "inside" }): Promise<void> {
    const level = this.#levels.at(-1);
    if (level === undefined) return;
    if (hides === "all") await this.#writer.cover();
    if (hides === "all" && !isOpaque) this.#mark("opaque", this.#writer.path);
    level.bares = hides === "names" && isOpaque;
  }

  #leave(): void {
    const level = this.#levels.pop();
    const { path, isAnnounced } = this.#writer;
    // Only now: what is in it must hide all that it hid before.
    if (level?.bares) this.#mark("transparent", path);
    if (level?.isSame) this.#unchanged++;
    const isRoot = this.#levels.length === 0;
    if (!isAnnounced && !isRoot) this.#remove(path);
    else if (level !== undefined) this.#settle(level, path);
    this.#writer.leave();
  }

  #settle({ going, isSame, below }: Level, path: string): void {
    for (const gone of going) this.#trim("remove", gone);
    if (isSame && below !== undefined && !this.#isWhole)
      this.#journal.finish({ verb: "time", path, time: below.attributes.mtime });
  }

  async #take(step: UpperPlace): Promise<void> {
    const { own, isSame } = this.#hold(step);
    if (!isSame || this.#job.kind === "plain") this.#weigh(step.status);
    if (!isSame) {
      const isLeftOut = isDevice(step.status) && this.#job.devices !== true;
      if (isLeftOut) await this.#miss({ ...step, kind: "left-out", why: DEVICE_NOTE });
      else {
        if (step.below !== undefined) this.#replaced.add(step.below);
        await this.#writer.add(own);
      }
      return;
    }
    this.#unchanged++;
    this.#remove(this.#writer.pathOf(step.name));
  }

  /** What is not there, or not for others, hides what the base has there. */
  async #miss(step: WalkStep & { readonly kind: "absent" | "left-out" }): Promise<void> {
    const path = this.#writer.pathOf(step.name);
    if (step.below !== undefined) this.#replaced.add(step.below);
    if (step.below !== undefined) await this.#writer.hide(step.name);
    if (step.kind === "left-out") {
      this.#leftOut.add(path, step.why);
      this.#journal.finish({ verb: "drop", path });
      if (step.below !== undefined) this.#trim("whiteout", path);
    } else if (step.isMarked && step.below === undefined) this.#remove(path);
    else if (!step.isMarked) this.#mark("whiteout", path);
  }

  /** `below` only where it may be the same. */
  #hold(step: UpperPlace): { own: Compared; below: Compared | undefined; isSame: boolean } {
    const path = step.name === "." ? "/" : this.#writer.pathOf(step.name);
    try {
      // A copy has those that its pods made, as a root's container storage does.
      if (this.#isWhole && hasOverlayXattrs(step)) this.#leftOut.add(path, MARKS_NOTE);
      const own = { ...step, attributes: readPackedAttributes(step, step.status, this.#job.kind) };
      const mayBe = step.below !== undefined && mayBeSame(step.status, step.below.status);
      const below = step.below !== undefined && mayBe ? toCompared(step.below) : undefined;
      return { own, below, isSame: below !== undefined && this.#isSame(own, below) };
    } catch (error) {
      throw packFailure(error, path);
    }
  }

  #isSame(own: Compared, below: Compared): boolean {
    const { type, links, inode } = own.status;
    if (type !== "directory" && links > 1) {
      this.#keptLinks ??= findKeptLinks(this.#job);
      if (!this.#keptLinks.has(inode)) return false;
    }
    return isSameEntry(own, below, this.#job.compare);
  }

  /** Each name of a file counts for its part of it. */
  #weigh({ type, blocks, links }: EntryStatus): void {
    const share = type === "directory" ? 1 : 1 / links;
    this.#keptBytes += blocks * 512 * share;
    this.#keptInodes += share;
  }

  /** By itself, or with the directory where all of that goes: a rename each is dear. */
  #remove(path: string): void {
    if (!this.#isWhole) this.#levels.at(-1)?.going.push(path);
  }

  #trim(verb: "remove" | "whiteout", path: string): void {
    if (!this.#isWhole) this.#journal.finish({ verb, path });
  }

  #mark(verb: "whiteout" | "opaque" | "transparent", path: string): void {
    if (!this.#isWhole) this.#journal.prepare({ verb, path });
  }
}

function toCompared(shown: Shown): Compared {
  return { ...shown, attributes: readPackedAttributes(shown, shown.status, "plain") };
}
