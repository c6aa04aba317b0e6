// Walks what a claim's pods left, beside what its base shows: each entry with what it stands over, in one order everywhere.
import { Descent } from "../host/descent.ts";
import { Directory, type Name } from "../host/directory.ts";
import type { EntryStatus } from "../host/entry-status.ts";
import { whyLeftOut } from "./left-out.ts";
import { MergedDescent, type Shown } from "./merged-descent.ts";
import { isOpaque, isZeroDevice } from "./overlay-marks.ts";
import type { ReplacedBytes } from "./replaced-bytes.ts";

/** One name that need not travel is worth so many whiteouts. */
const WHITEOUTS_PER_NAME = 1000;

export type UpperPlace = {
  readonly directory: Directory;
  readonly name: Name;
  readonly status: EntryStatus;
  readonly below: Shown | undefined;
};

/** How what a directory hides of its base is said: not at all, name by name, or all of it at once. */
export type Hiding = "nothing" | "names" | "all";

export type WalkStep =
  | ({ readonly kind: "entry" } & UpperPlace)
  /** It is entered next, and `inside` follows. */
  | ({ readonly kind: "directory" } & UpperPlace)
  | { readonly kind: "inside"; readonly hides: Hiding; readonly isOpaque: boolean }
  | { readonly kind: "leave" }
  /** Nothing by that name, over what the base has; or a whiteout, whatever the base has. */
  | {
      readonly kind: "absent";
      readonly name: Name;
      readonly isMarked: boolean;
      readonly below: Shown | undefined;
    }
  /** What no archive of ours holds: to others it is absent. */
  | {
      readonly kind: "left-out";
      readonly name: Name;
      readonly why: string;
      readonly below: Shown | undefined;
    };

export type WalkedTrees = {
  readonly upper: string;
  /** Topmost first. */
  readonly below: readonly string[];
  /** `overlay`: an upper, whose marks mean something; `plain`: a directory that is the whole by itself. */
  readonly kind: "overlay" | "plain";
};

type Level = {
  readonly names: readonly Name[];
  next: number;
  /** Nothing of the base shows through it as it stands. */
  readonly isCovering: boolean;
  readonly pathBytes: number;
};

/**
 * Directories come before what is in them, names in the order of their bytes. What is in directories of the base that
 * are hidden as a whole is in no step, and is counted as replaced.
 */
export function* walkUpper(trees: WalkedTrees, replaced?: ReplacedBytes): Generator<WalkStep, void, void> {
  using walk = new UpperWalk(trees, replaced);
  yield* walk.steps();
}

class UpperWalk implements Disposable {
  readonly #isPlain: boolean;
  readonly #upper: Descent;
  readonly #base: MergedDescent;
  readonly #levels: Level[] = [];
  readonly #replaced: ReplacedBytes | undefined;

  constructor({ upper, below, kind }: WalkedTrees, replaced: ReplacedBytes | undefined) {
    this.#replaced = replaced;
    this.#isPlain = kind === "plain";
    using opened = new DisposableStack();
    this.#upper = opened.use(new Descent(Directory.open(upper)));
    this.#base = opened.use(new MergedDescent(below));
    opened.move();
  }

  [Symbol.dispose](): void {
    this.#upper[Symbol.dispose]();
    this.#base[Symbol.dispose]();
  }

  *steps(): Generator<WalkStep, void, void> {
    const directory = this.#upper.current;
    yield { kind: "directory", directory, name: ".", status: directory.ownStatus(), below: this.#base.own() };
    yield this.#enter("");
    for (let level = this.#levels.at(-1); level !== undefined; level = this.#levels.at(-1)) {
      const name = level.names[level.next++];
      if (name !== undefined) yield* this.#step(name, level);
      else yield this.#leave();
    }
  }

  *#step(name: Name, level: Level): Generator<WalkStep, void, void> {
    const directory = this.#upper.current;
    const status = directory.find(name);
    const below = this.#find(name, status);
    if (status === undefined || (!this.#isPlain && isZeroDevice(status))) {
      yield { kind: "absent", name, isMarked: status !== undefined, below };
      return;
    }
    const why = whyLeftOut(name, status, level.pathBytes);
    if (why !== undefined) {
      yield { kind: "left-out", name, why, below };
      return;
    }
    const kind = status.type === "directory" ? "directory" : "entry";
    yield { kind, directory, name, status, below };
    if (kind === "entry") return;
    this.#upper.descend(name);
    this.#base.descend(name);
    yield this.#enter(name);
  }

  /** What the base shows there; a directory with which nothing is merged is counted as replaced. */
  #find(name: Name, status: EntryStatus | undefined): Shown | undefined {
    const below = this.#base.find(name);
    const isHidden = below?.status.type === "directory" && status?.type !== "directory";
    if (!isHidden || this.#replaced === undefined) return below;
    this.#base.descend(name);
    this.#replaced.addInside(this.#base);
    this.#base.ascend();
    // The view was elsewhere, and what it had shown may be closed.
    return this.#base.find(name);
  }

  #enter(name: Name): WalkStep {
    const above = this.#levels.at(-1);
    const opaque = !this.#isPlain && isOpaque(this.#upper.current);
    const isCovering = this.#isPlain || opaque || above?.isCovering === true;
    const own = this.#upper.current.list();
    const missing = isCovering ? this.#missing(own, { isRoot: above === undefined }) : [];
    const hides = missing === "most" ? "all" : isCovering && this.#base.isHere ? "names" : "nothing";
    if (missing === "most") this.#replaced?.addInside(this.#base);
    if (missing === "most") this.#base.conceal();
    const names = [...own, ...(missing === "most" ? [] : missing)].sort();
    const pathBytes = (above?.pathBytes ?? 0) + name.length + 1;
    this.#levels.push({ names, next: 0, isCovering, pathBytes });
    return { kind: "inside", hides, isOpaque: opaque };
  }

  /** What the base has and the directory does not; `most` where that is better said at once, which overlays do not hear of a layer's root. */
  #missing(own: readonly Name[], { isRoot }: { readonly isRoot: boolean }): readonly Name[] | "most" {
    const there = this.#base.list();
    const names = new Set(own);
    const missing = there.filter((name) => !names.has(name));
    const shared = there.length - missing.length;
    return !isRoot && missing.length > WHITEOUTS_PER_NAME * shared ? "most" : missing;
  }

  #leave(): WalkStep {
    this.#levels.pop();
    if (this.#levels.length > 0) {
      this.#upper.ascend();
      this.#base.ascend();
    }
    return { kind: "leave" };
  }
}
