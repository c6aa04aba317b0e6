// What is packed of an entry beside its content, and how two entries are held against each other.
import {
  type CompareRule,
  compareEntries,
  type Entry,
  type EntryKind,
  isOwnXattr,
} from "../core/compare-entries.ts";
import { Failure } from "../core/failure.ts";
import type { EntryStatus, EntryType } from "../host/entry-status.ts";
import { listXattrs, readXattr } from "../host/xattrs.ts";
import type { Attributes } from "./attributes.ts";
import type { Place } from "./copy-entry.ts";
import { isDevice } from "./left-out.ts";
import { type FileAt, hasSameBytes } from "./same-bytes.ts";

const KINDS: Readonly<Record<EntryType, EntryKind>> = {
  file: "file",
  directory: "directory",
  symlink: "symlink",
  fifo: "fifo",
  socket: "socket",
  block: "block-device",
  character: "character-device",
};
/** How overlayfs says that an entry is not what it looks like, with features that our mounts have off. */
const FOREIGN = ["trusted.overlay.redirect", "trusted.overlay.metacopy"];

/**
 * Without what belongs to this node. Failure `unsupported` where the entry is of an upper and was made by an overlay
 * with other features than ours.
 */
export function readPackedAttributes(
  place: Place,
  status: EntryStatus,
  kind: "overlay" | "plain",
): Attributes {
  const { mode, uid, gid, mtime } = status;
  const names = listXattrs(place);
  const foreign = kind === "overlay" ? names.find((name) => FOREIGN.includes(name)) : undefined;
  if (foreign !== undefined)
    throw new Failure(
      "unsupported",
      `it has the attribute "${foreign}", which only an overlay mounted with other options makes; mount it with redirect_dir=off and metacopy=off`,
    );
  const xattrs = names.filter(isOwnXattr).flatMap((name) => {
    const value = readXattr(place, name);
    return value === undefined ? [] : [[name, value] as const];
  });
  return { mode, uid, gid, mtime, xattrs };
}

export type Compared = FileAt & { readonly attributes: Attributes };

/** Whether what costs little to ask tells them apart. */
export function mayBeSame(upper: EntryStatus, below: EntryStatus): boolean {
  return (
    upper.type === below.type &&
    upper.uid === below.uid &&
    upper.gid === below.gid &&
    (upper.type === "symlink" || upper.mode === below.mode) &&
    (upper.type !== "file" || upper.size === below.size)
  );
}

/** Whether they are the same under the rule; the bytes of files are read only where all else is equal. */
export function isSameEntry(upper: Compared, below: Compared, rule: CompareRule): boolean {
  const answer = compareEntries(toComparable(upper), toComparable(below), rule);
  return answer === "same" || (answer === "same-content?" && hasSameBytes(upper, below));
}

function toComparable({ directory, name, status, attributes }: Compared): Entry {
  const { type, mode, uid, gid, size, mtime, device } = status;
  return {
    kind: KINDS[type],
    mode,
    uid,
    gid,
    size,
    mtimeNs: BigInt(mtime.seconds) * 1_000_000_000n + BigInt(mtime.nanoseconds),
    ...(type === "symlink" ? { target: directory.readLink(name) } : {}),
    ...(isDevice(status) ? { device: (BigInt(device.major) << 32n) | BigInt(device.minor) } : {}),
    xattrs: new Map(attributes.xattrs),
  };
}
