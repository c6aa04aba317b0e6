// What the door asks of the journeys: the requests, in our words and already well formed.

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
