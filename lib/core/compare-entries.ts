// Whether what a pod wrote over an entry of its base differs from it.

export type EntryKind =
  | "file"
  | "directory"
  | "symlink"
  | "fifo"
  | "socket"
  | "block-device"
  | "character-device";

export type Entry = {
  readonly kind: EntryKind;
  /** The twelve bits of permissions, setuid, setgid and sticky. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Of a file. */
  readonly size: number;
  readonly mtimeNs: bigint;
  /** Of a symlink. */
  readonly target?: string;
  /** Of a device. */
  readonly device?: bigint;
  readonly xattrs: ReadonlyMap<string, Uint8Array>;
};

/** What makes an entry changed: what it is and holds, or its time of modification too. */
export type CompareRule = "content" | "exact";

/** `same-content?`: all but the bytes of two files is equal, and those have to be read. */
export type Comparison = "changed" | "same" | "same-content?";

/** An opaque directory hides its base: it is changed, whatever is compared here. */
export function compareEntries(upper: Entry, below: Entry | undefined, rule: CompareRule): Comparison {
  if (below === undefined || upper.kind !== below.kind) return "changed";
  if (upper.uid !== below.uid || upper.gid !== below.gid) return "changed";
  if (rule === "exact" && upper.mtimeNs !== below.mtimeNs) return "changed";
  // A symlink's own mode means nothing, and differs by file system.
  if (upper.kind !== "symlink" && upper.mode !== below.mode) return "changed";
  if (upper.target !== below.target || upper.device !== below.device) return "changed";
  if (!hasSameXattrs(upper, below)) return "changed";
  if (upper.kind !== "file") return "same";
  if (upper.size !== below.size) return "changed";
  return upper.size === 0 ? "same" : "same-content?";
}

/** Whether an extended attribute belongs to the entry, rather than to this node's overlays and labels. */
export function isOwnXattr(name: string): boolean {
  return !name.startsWith("trusted.") && name !== "security.selinux";
}

function hasSameXattrs(one: Entry, other: Entry): boolean {
  const mine = [...one.xattrs].filter(([name]) => isOwnXattr(name));
  const theirs = [...other.xattrs.keys()].filter(isOwnXattr);
  return (
    mine.length === theirs.length &&
    mine.every(([name, value]) => {
      const there = other.xattrs.get(name);
      return there !== undefined && Buffer.compare(value, there) === 0;
    })
  );
}
