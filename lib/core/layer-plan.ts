// What has to be brought to the node for a Tree: its Layers, bottom first, and what each is made of.
import type { Digest } from "./digest.ts";
import type { Descriptor } from "./manifest.ts";

export type Compression = "none" | "gzip" | "zstd";

/** A raw blob that becomes one file. */
export type FilePlan = {
  /** Relative, normalised, without `..`: where in the Layer. */
  readonly path: string;
  readonly blob: Descriptor;
  readonly mode: number;
  /** Seconds since the epoch; 0 where the artifact states none, so that equal content stays equal. */
  readonly mtime: number;
};

/**
 * One Layer to bring. Its `id` names it on every node alike.
 * `image`: an archive with whiteouts that settles over the layers beneath it.
 * `archive`: an archive without whiteouts, complete by itself; every entry must lie under `root` ("" for anywhere).
 * `files`: raw blobs at their paths.
 */
export type LayerPlan =
  | {
      readonly kind: "image";
      readonly id: Digest;
      readonly blob: Descriptor;
      readonly compression: Compression;
      /** The digest of the uncompressed archive, where the config states it. */
      readonly diffId?: Digest;
      /** Setuid and setgid bits, and file capabilities. */
      readonly keepSetuid: boolean;
    }
  | {
      readonly kind: "archive";
      readonly id: Digest;
      readonly blob: Descriptor;
      readonly compression: Compression;
      readonly diffId?: Digest;
      readonly root: string;
      readonly keepSetuid: boolean;
    }
  | { readonly kind: "files"; readonly id: Digest; readonly files: readonly FilePlan[] };

export type TreePlan = {
  readonly layers: readonly LayerPlan[];
  /** What the pod's owner should know, such as that untitled layers were named by digest. */
  readonly notes: readonly string[];
};
