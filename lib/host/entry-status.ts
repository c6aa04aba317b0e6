// What the kernel says of one directory entry, without following it.
import { answered, checked, libcFunction } from "./libc.ts";

export type EntryType = "file" | "directory" | "symlink" | "character" | "block" | "fifo" | "socket";

/** Seconds since the epoch, which may be negative, and nanoseconds on top of them. */
export type Time = { readonly seconds: number; readonly nanoseconds: number };

export type EntryStatus = {
  readonly type: EntryType;
  /** Permission bits, set-user-id and the like included. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly size: number;
  readonly links: number;
  readonly blocks: number;
  /** Tells one inode from all others while it exists. */
  readonly inode: string;
  readonly mtime: Time;
  /** Of a device node. */
  readonly device: { readonly major: number; readonly minor: number };
  readonly isMountRoot: boolean;
  /** Immutable or append-only. */
  readonly isProtected: boolean;
};

const AT_SYMLINK_NOFOLLOW = 0x100;
const AT_NO_AUTOMOUNT = 0x800;
const AT_EMPTY_PATH = 0x1000;
const ENOENT = 2;
const BASIC_STATS = 0x7ff;
const PROTECTED = 0x10 | 0x20;
const MOUNT_ROOT = 0x2000;

const statx = libcFunction("int statx(int, const void *, int, unsigned int, void *)");
const types: ReadonlyMap<number, EntryType> = new Map([
  [0o100000, "file"],
  [0o040000, "directory"],
  [0o120000, "symlink"],
  [0o020000, "character"],
  [0o060000, "block"],
  [0o010000, "fifo"],
  [0o140000, "socket"],
]);

const answer = Buffer.alloc(256);

/** Of the entry `name` (NUL-ended) in the directory `fd`; with an empty name, of `fd` itself. */
export function readStatus(fd: number, name: Uint8Array): EntryStatus {
  checked("statx", ask(fd, name));
  return toStatus();
}

/** Undefined where there is nothing. */
export function findStatus(fd: number, name: Uint8Array): EntryStatus | undefined {
  return answered("statx", ask(fd, name), [ENOENT]) === undefined ? undefined : toStatus();
}

function ask(fd: number, name: Uint8Array): number {
  return statx(
    fd,
    name,
    AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | AT_EMPTY_PATH,
    BASIC_STATS,
    answer,
  ) as number;
}

function toStatus(): EntryStatus {
  const type = types.get(answer.readUInt16LE(28) & 0o170000);
  if (type === undefined) throw new Error(`statx answered the unknown mode ${answer.readUInt16LE(28)}`);
  const attributes = answer.readUInt32LE(8);
  return {
    type,
    mode: answer.readUInt16LE(28) & 0o7777,
    uid: answer.readUInt32LE(20),
    gid: answer.readUInt32LE(24),
    size: Number(answer.readBigUInt64LE(40)),
    links: answer.readUInt32LE(16),
    blocks: Number(answer.readBigUInt64LE(48)),
    inode: `${answer.readUInt32LE(136)}:${answer.readUInt32LE(140)}:${answer.readBigUInt64LE(32)}`,
    mtime: { seconds: Number(answer.readBigInt64LE(112)), nanoseconds: answer.readUInt32LE(120) },
    device: { major: answer.readUInt32LE(128), minor: answer.readUInt32LE(132) },
    isMountRoot: (attributes & MOUNT_ROOT) !== 0,
    isProtected: (attributes & PROTECTED) !== 0,
  };
}
