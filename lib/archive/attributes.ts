// Owner, mode, times and extended attributes: what an entry has beside its content.
import fs from "node:fs";
import { type Directory, type Name, setFileTime } from "../host/directory.ts";
import type { EntryStatus, Time } from "../host/entry-status.ts";
import { listXattrs, readXattr, removeXattr, writeXattr } from "../host/xattrs.ts";
import { OVERLAY_XATTRS, WHOLE_XATTR } from "./overlay-marks.ts";

export type Attributes = {
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly mtime: Time;
  readonly xattrs: ReadonlyArray<readonly [name: string, value: Uint8Array]>;
};

/** Of a directory that nobody described: the same on every node and at any time. */
export const IMPLIED: Attributes = {
  mode: 0o755,
  uid: 0,
  gid: 0,
  mtime: { seconds: 0, nanoseconds: 0 },
  xattrs: [],
};

/** To the directory itself. The owner comes first, since a change of it drops capabilities and set-user-id. */
export function applyToDirectory(directory: Directory, attributes: Attributes): void {
  fs.fchownSync(directory.fd, attributes.uid, attributes.gid);
  fs.fchmodSync(directory.fd, attributes.mode);
  writeXattrs(directory, ".", attributes.xattrs);
  setFileTime(directory.fd, attributes.mtime);
}

/** To an entry that is neither a file nor a directory. */
export function applyToEntry(
  directory: Directory,
  name: Name,
  attributes: Attributes & { type: string },
): void {
  directory.setOwner(name, attributes.uid, attributes.gid);
  if (attributes.type !== "symlink") directory.setMode(name, attributes.mode);
  writeXattrs(directory, name, attributes.xattrs);
  directory.setTime(name, attributes.mtime);
}

/** What the file system, or this type of entry, does not carry is left out, as other unpackers do. */
export function writeXattrs(directory: Directory, name: Name, xattrs: Attributes["xattrs"]): void {
  for (const [key, value] of xattrs) {
    try {
      writeXattr({ directory, name }, key, value);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code !== "EOPNOTSUPP" && code !== "ENOTSUP" && !(code === "EPERM" && key.startsWith("user.")))
        throw error;
    }
  }
}

/** What an entry has, but for what overlayfs keeps in it, and what is only so of a layer's root. */
export function readAttributes(directory: Directory, name: Name, status: EntryStatus): Attributes {
  const { mode, uid, gid, mtime } = status;
  const place = { directory, name };
  const xattrs = listXattrs(place)
    .filter((key) => !key.startsWith(OVERLAY_XATTRS) && key !== WHOLE_XATTR)
    .flatMap((key) => {
      const value = readXattr(place, key);
      return value === undefined ? [] : [[key, value] as const];
    });
  return { mode, uid, gid, mtime, xattrs };
}

/** To the directory itself, which keeps no attribute of its own but what overlayfs has in it. */
export function replaceOnDirectory(directory: Directory, attributes: Attributes): void {
  const place = { directory, name: "." };
  for (const key of listXattrs(place))
    if (!key.startsWith(OVERLAY_XATTRS) && key !== WHOLE_XATTR) removeXattr(place, key);
  applyToDirectory(directory, attributes);
}
