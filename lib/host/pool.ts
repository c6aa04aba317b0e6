// The pool: an XFS with project quotas in an image file, for nodes whose own file system has none.

export type PoolRequest = {
  /** On a file system that can allocate files in full. */
  readonly image: string;
  /** A directory, made where it is missing; nothing else is mounted there. */
  readonly mountPoint: string;
  readonly bytes: number;
  /** What stays free on the image's file system: more than where the kubelet starts to evict. */
  readonly floorBytes: number;
};

export type OpenPool = {
  readonly mountPoint: string;
  /** Such as `/dev/loop3`. */
  readonly device: string;
  /** Of the image: as large as was asked, or as it was before that. */
  readonly bytes: number;
  /** Why it is smaller than was asked, in a sentence for the log. */
  readonly shortfall?: string;
};

/** What has been done when a start may be cut short; each may be repeated. */
export type PoolStep =
  | "allocated"
  | "formatted"
  | "synced"
  | "placed"
  | "filled"
  | "attached"
  | "mounted"
  | "grown";

export interface Pools {
  /**
   * Ensures that the image is there, allocated in full and at least as large as asked, attached to one device,
   * mounted with project quotas enforced, and used to its end. What is in it stays; it never shrinks, and stays
   * mounted when the process ends. May be repeated, and cut short anywhere. Waits for the disk: for the start.
   * Failures: full (it would leave less than the floor), invalid (too small), unsupported (no XFS or quotas in this
   * kernel, or no full allocation), conflict (something else is in its place), corrupt, unavailable.
   */
  open(request: PoolRequest): Promise<OpenPool>;
}

/** What mkfs.xfs agrees to. */
export const SMALLEST_POOL_BYTES = 300 * 1024 * 1024;
