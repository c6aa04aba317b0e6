// What is asked of the store for a Tree, and what is given out.
import type { Access } from "../core/access.ts";
import type { Digest } from "../core/digest.ts";
import type { Platform } from "../core/platform.ts";
import type { PullProgress } from "../core/progress.ts";
import type { Reference } from "../core/reference.ts";
import type { PullPolicy } from "./tags.ts";

export type TreeRequest = {
  /** All for the Reference's repository, tried in order; at least one, which may be anonymous. */
  readonly accesses: readonly Access[];
  readonly reference: Reference;
  readonly pullPolicy?: PullPolicy;
  readonly platform: Platform;
  readonly mediaTypes?: readonly string[];
  readonly layout: "overlay" | "copy";
};

export type Waiter = {
  readonly signal: AbortSignal;
  /** Ends the questions that come before a pull, and no pull, where that is to be sooner. */
  readonly asking?: AbortSignal;
  /** Told how far the pull is: at once, a few times a second while bytes arrive, and when the waiter leaves. */
  readonly onProgress?: (progress: PullProgress) => void;
  /** Told once which Tree it is that is being pulled, when bytes of it arrive; its outcome is open. */
  readonly onArriving?: (tree: ArrivingTree) => void;
};

/** A Tree that stays until this is disposed of; by then a Record should hold it. */
export interface LeasedTree extends Disposable {
  readonly key: Digest;
  /** What the Reference meant: of an index, the index's digest. */
  readonly digest: Digest;
  /** Absolute directories, topmost first; one alone is to be bound, several to be stacked. */
  readonly layers: readonly string[];
  readonly layerIds: readonly Digest[];
  /** What the pod's owner should know. */
  readonly notes: readonly string[];
  /** Whether it was here already. */
  readonly hit: boolean;
}

/** One that is on its way. */
export type ArrivingTree = Pick<LeasedTree, "key" | "digest">;
