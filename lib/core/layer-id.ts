// The names that Layers and Trees have on every node alike, made of what they are.
import { type Digest, digestOf } from "./digest.ts";
import type { Compression, FilePlan } from "./layer-plan.ts";
import { formatPlatform, normalizePlatform, type Platform } from "./platform.ts";

/**
 * Raised when the same artifact comes to be unpacked otherwise than before:
 * what older releases left on the node is then nobody's, and is collected.
 */
const RULES = 1;

/** What decides the content of one unpacked archive. */
export type ArchiveIdentity = {
  readonly blob: Digest;
  readonly compression: Compression;
  readonly diffId?: Digest;
  readonly keepSetuid: boolean;
};

const idOf = (...parts: readonly unknown[]): Digest => digestOf(JSON.stringify([RULES, ...parts]));

/** An image's Layer is named by the chain beneath it too, since it settles over that. */
export function imageLayerId(parent: Digest | undefined, archive: ArchiveIdentity): Digest {
  const { blob, compression, diffId, keepSetuid } = archive;
  return idOf("image", parent ?? null, blob, compression, diffId ?? null, keepSetuid);
}

export function archiveLayerId(root: string, archive: ArchiveIdentity): Digest {
  const { blob, compression, diffId, keepSetuid } = archive;
  return idOf("archive", root, blob, compression, diffId ?? null, keepSetuid);
}

export function filesLayerId(files: readonly FilePlan[]): Digest {
  const lines = files.map(({ path, blob, mode, mtime }) => [path, blob.digest, mode, mtime] as const);
  return idOf(
    "files",
    lines.sort(([a], [b]) => (a < b ? -1 : 1)),
  );
}

/** A Layer made over for pods of a group. */
export function groupedLayerId(layer: Digest, gid: number): Digest {
  return idOf("group", layer, gid);
}

/** What a Tree is of: a manifest, and what was taken of it. */
export type TreeSelection = {
  readonly digest: Digest;
  /** Where the digest is an index's. */
  readonly platform?: Platform;
  readonly mediaTypes?: readonly string[];
  readonly layout: "overlay" | "copy";
  readonly keepSetuid?: boolean;
};

export function treeKey(selection: TreeSelection): Digest {
  const { digest, platform, mediaTypes = [], layout, keepSetuid = false } = selection;
  const named = platform === undefined ? null : formatPlatform(normalizePlatform(platform));
  return idOf("tree", digest, named, [...new Set(mediaTypes)].sort(), layout, keepSetuid);
}
