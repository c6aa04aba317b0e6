// Unpacks layers in worker threads while their bytes are still arriving.
import type { Digest } from "../core/digest.ts";
import type { Compression } from "../core/layer-plan.ts";
import type { FeedProgress } from "./feed-progress.ts";

/** A blob that is being written to a file, to be followed from its start. */
export type Feed = {
  readonly path: string;
  readonly size: number;
  readonly digest: Digest;
  readonly progress: FeedProgress;
};

export type UnpackJob = {
  readonly feed: Feed;
  readonly compression: Compression;
  /** The digest of the uncompressed archive, where it is known. */
  readonly diffId?: Digest;
  /** An existing empty directory. */
  readonly directory: string;
  /** `image`: whiteouts mean something. `archive`: they are names like others, and special files are refused. */
  readonly kind: "image" | "archive";
  /** For an `archive`: every entry must lie under it; "" for anywhere. */
  readonly root: string;
  readonly keepSetuid: boolean;
};

/** What a layer needs from those beneath it. Names are latin1 text, one character a byte, so that any bytes survive JSON. */
export type Unsettled = {
  /** Directories that have no entry of their own; "" is the layer's root. */
  readonly implied: readonly string[];
  /** Hardlinks to files that are not in this layer. */
  readonly links: ReadonlyArray<{ readonly path: string; readonly target: string }>;
  readonly whiteouts: readonly string[];
  /** Directories that hide what is beneath them. */
  readonly opaques: readonly string[];
};

export type Unpacked = {
  /** On disk, as near as can be told without asking the file system: whole blocks, and a share for each inode. */
  readonly bytes: number;
  readonly inodes: number;
  readonly unsettled: Unsettled;
};

export type UnpackOptions = {
  readonly signal: AbortSignal;
  /** Asked before more than was granted is written; what it throws ends the job. */
  readonly room: (bytes: number) => Promise<void>;
};

export interface Unpacker extends AsyncDisposable {
  /**
   * Unpacks as the bytes arrive; resolves only after the blob's digest, and `diffId`, held.
   * Failures: corrupt, invalid, unsupported, full, unavailable; the signal's reason when it is aborted.
   * After any of them the content of the directory is the caller's to remove.
   */
  unpack(job: UnpackJob, options: UnpackOptions): Promise<Unpacked>;
  /** The digest alone, for files that stay as they are. Failures: corrupt, unavailable; the signal's reason. */
  verify(feed: Feed, signal: AbortSignal): Promise<void>;
}
