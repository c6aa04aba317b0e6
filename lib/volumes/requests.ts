// What the door asks of the journeys: the requests, in our words and already well formed.
import type { SizeRange } from "../core/admit-claim.ts";

/** How a caller means to use a volume; the door refuses any other. */
export type AccessMode =
  | "single-node-writer"
  | "single-node-reader-only"
  | "single-node-single-writer"
  | "single-node-multi-writer"
  | "multi-node-reader-only"
  | "multi-node-single-writer"
  | "multi-node-multi-writer";

export type Capability = {
  readonly access: "mount" | "block";
  readonly mode: AccessMode;
  /** "" when the caller has no wish. */
  readonly fsType: string;
  readonly mountFlags: readonly string[];
  /** The group that the caller wants the volume mounted for; "" for none. */
  readonly mountGroup: string;
};

/** What bounds one call. */
export type Call = {
  /** Its reason is a Failure: `pending` once nobody waits for the answer, `unavailable` when the plugin stops. */
  readonly signal: AbortSignal;
  /** Epoch milliseconds after which nobody listens; Infinity without a deadline. */
  readonly deadline: number;
};

export type PublishRequest = {
  readonly volumeId: string;
  /** Absolute and normalised. */
  readonly target: string;
  /** Where a claim was staged; an inline volume has none. */
  readonly stagingPath?: string;
  readonly readOnly: boolean;
  /** What the pod or PersistentVolume says, with the caller's own `csi.storage.k8s.io/*`. */
  readonly attributes: ReadonlyMap<string, string>;
  /** Never logged, never written, never in a message. */
  readonly secrets: ReadonlyMap<string, string>;
  readonly capability: Capability;
};

export type UnpublishRequest = {
  readonly volumeId: string;
  /** Absolute and normalised. */
  readonly target: string;
};

export type StatsRequest = {
  readonly volumeId: string;
  /** As the caller wrote it, perhaps relative: a volume that is not here is told before a path that is odd. */
  readonly path: string;
};

/** Whole numbers, none negative. */
export type Usage = { readonly total: number; readonly used: number; readonly available: number };

export type VolumeStats = { readonly bytes: Usage; readonly inodes: Usage };

/** What a claim is asked for with. Secrets are never logged, never written, never in a message. */
export type CreateClaimRequest = {
  /** The same name is the same claim. */
  readonly name: string;
  readonly size: SizeRange;
  /** At least one, and the claim has to serve all of them. */
  readonly capabilities: readonly Capability[];
  readonly parameters: ReadonlyMap<string, string>;
  /** The terms among the settings, which may change later. */
  readonly mutable: ReadonlyMap<string, string>;
  readonly secrets: ReadonlyMap<string, string>;
  /** Where it may be, each a set of labels that a node has all of; none: anywhere. */
  readonly topology: ReadonlyArray<ReadonlyMap<string, string>>;
  /** Whether it is to be a copy of a snapshot or of another volume. */
  readonly hasSource: boolean;
};

export type ClaimAnswer = {
  readonly volumeId: string;
  readonly bytes: number;
  /** Comes back with every stage and publish. */
  readonly context: ReadonlyMap<string, string>;
};

export type DeleteClaimRequest = {
  readonly volumeId: string;
  readonly secrets: ReadonlyMap<string, string>;
};

export type ValidateClaimRequest = {
  readonly volumeId: string;
  /** At least one. */
  readonly capabilities: readonly Capability[];
  readonly context: ReadonlyMap<string, string>;
  readonly parameters: ReadonlyMap<string, string>;
  readonly mutable: ReadonlyMap<string, string>;
  readonly secrets: ReadonlyMap<string, string>;
};

export type ClaimVerdict =
  | { readonly confirmed: true }
  | { readonly confirmed: false; readonly message: string };

export type CapacityRequest = {
  /** None where the caller has no wish. */
  readonly capabilities: readonly Capability[];
  readonly parameters: ReadonlyMap<string, string>;
  /** Whose capacity is asked for; this node's where it is not said. */
  readonly topology?: ReadonlyMap<string, string>;
};

/** Whole numbers, none negative. */
export type Capacity = {
  readonly availableBytes: number;
  readonly maximumBytes: number;
  readonly minimumBytes: number;
};

export type ModifyClaimRequest = {
  readonly volumeId: string;
  /** Only what is to change. */
  readonly mutable: ReadonlyMap<string, string>;
  readonly secrets: ReadonlyMap<string, string>;
};

export type StageRequest = {
  readonly volumeId: string;
  /** Absolute and normalised. */
  readonly path: string;
  readonly capability: Capability;
  readonly context: ReadonlyMap<string, string>;
  readonly secrets: ReadonlyMap<string, string>;
};

export type UnstageRequest = {
  readonly volumeId: string;
  /** Absolute and normalised. */
  readonly path: string;
};

export type ExpandRequest = {
  readonly volumeId: string;
  /** As the caller wrote it, perhaps relative: a volume that is not here is told before a path that is odd. */
  readonly path: string;
  /** As the caller wrote it, too. */
  readonly stagingPath?: string;
  readonly size: SizeRange;
};

export type Expanded = { readonly bytes: number };
