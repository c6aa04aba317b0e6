// Copies layers by links: one as it is, or a stack of them merged into what overlayfs would show.
import fs from "node:fs";
import { mkdir } from "node:fs/promises";
import { setImmediate } from "node:timers/promises";
import { isWhiteout, OPAQUE_XATTR } from "../archive/overlay-marks.ts";
import { Descent } from "../host/descent.ts";
import { Directory, type Name } from "../host/directory.ts";
import type { EntryStatus } from "../host/entry-status.ts";
import { errorCode } from "../host/errno.ts";
import { removeTreeNow } from "../host/remove-tree.ts";
import { listXattrs, readXattr, removeXattr, writeXattr } from "../host/xattrs.ts";

export type Assembled = { readonly bytes: number; readonly inodes: number };

/** How many entries go before others get their turn. */
const slice = 256;
const blockBytes = 4096;
const markPrefix = "trusted.overlay.";

/**
 * The missing directory `to` holds what an overlay of `layers`, topmost first, would show. Follows nothing in them
 * and takes any depth. Returns what it takes beside the files it shares.
 */
export async function assembleLayers(layers: readonly string[], to: string): Promise<Assembled> {
  return await mergeAll(layers, to, false);
}

/** The missing directory `to` holds what the one layer does, whiteouts and other marks included. */
export async function cloneLayer(layer: string, to: string): Promise<Assembled> {
  return await mergeAll([layer], to, true);
}

async function mergeAll(layers: readonly string[], to: string, keepsMarks: boolean): Promise<Assembled> {
  await mkdir(to, { mode: 0o755 });
  let total = { bytes: blockBytes, inodes: 1 };
  for (const layer of layers.toReversed()) {
    using target = new Descent(Directory.open(to));
    using source = new Descent(Directory.open(layer));
    for (const made of merge({ source, target, keepsMarks })) {
      total = plus(total, made);
      await setImmediate();
    }
  }
  return total;
}

type Merge = { readonly source: Descent; readonly target: Descent; readonly keepsMarks: boolean };

/** Depth first; yields what was made since it last did. */
function* merge(it: Merge): Generator<Assembled> {
  const { source, target } = it;
  let made = { bytes: 0, inodes: 0 };
  let count = 0;
  const lists = [enter(it)];
  while (lists.length > 0) {
    if (++count % slice === 0) {
      yield made;
      made = { bytes: 0, inodes: 0 };
    }
    const name = lists.at(-1)?.pop();
    if (name === undefined) {
      lists.pop();
      leave(it);
      continue;
    }
    const status = source.current.status(name);
    if (status.type === "directory") {
      if (ensureDirectory(target.current, name)) made = plus(made, { bytes: blockBytes, inodes: 1 });
      source.descend(name);
      target.descend(name);
      lists.push(enter(it));
    } else made = plus(made, place(it, name, status));
  }
  yield made;
}

/** The names to merge; what an opaque directory hides is gone from the target then. */
function enter({ source, target, keepsMarks }: Merge): Name[] {
  if (!keepsMarks && readXattr({ directory: source.current, name: "." }, OPAQUE_XATTR) !== undefined) {
    for (const name of target.current.list()) removeTreeNow(target.current, name);
  }
  return source.current.list();
}

/** The directory gets what the upper one has, its time last, since filling it changed that. */
function leave({ source, target, keepsMarks }: Merge): void {
  copyAttributes(source.current, target.current, keepsMarks);
  if (source.depth === 0) return;
  source.ascend();
  target.ascend();
}

/** Whether it had to be made. */
function ensureDirectory(target: Directory, name: Name): boolean {
  const status = statusOf(target, name);
  if (status?.type === "directory") return false;
  if (status !== undefined) target.removeFile(name);
  target.makeDirectory(name, 0o700);
  return true;
}

function place(it: Merge, name: Name, status: EntryStatus): Assembled {
  const { current: source } = it.source;
  const { current: target } = it.target;
  const nothing = { bytes: 0, inodes: 0 };
  if (statusOf(target, name) !== undefined) removeTreeNow(target, name);
  if (!it.keepsMarks && isWhiteout(status)) return nothing;
  try {
    target.makeLink(name, source, name);
    return nothing;
  } catch (error) {
    // A file has a limit of names (65,000 on ext4).
    if (errorCode(error) !== "EMLINK" || status.type !== "file") throw error;
    copyFile(source, target, name, status);
    return { bytes: status.blocks * 512, inodes: 1 };
  }
}

function copyFile(source: Directory, target: Directory, name: Name, status: EntryStatus): void {
  const from = source.openFile(name);
  try {
    const to = Buffer.from(`/proc/self/fd/${target.fd}/${name}`, "latin1");
    const flags = fs.constants.COPYFILE_EXCL | fs.constants.COPYFILE_FICLONE;
    fs.copyFileSync(`/proc/self/fd/${from}`, to, flags);
  } finally {
    fs.closeSync(from);
  }
  target.setOwner(name, status.uid, status.gid);
  for (const xattr of listXattrs({ directory: source, name })) copyXattr(source, target, name, xattr);
  target.setMode(name, status.mode);
  target.setTime(name, status.mtime);
}

function copyAttributes(source: Directory, target: Directory, keepsMarks: boolean): void {
  const status = source.ownStatus();
  const place = { directory: target, name: "." };
  for (const xattr of listXattrs(place)) if (!isKept(xattr)) removeXattr(place, xattr);
  target.setOwner(".", status.uid, status.gid);
  for (const xattr of listXattrs({ directory: source, name: "." })) {
    if (keepsMarks || !xattr.startsWith(markPrefix)) copyXattr(source, target, ".", xattr);
  }
  target.setMode(".", status.mode);
  target.setTime(".", status.mtime);
}

/** The system's own label of a file is not the layer's to give. */
const isKept = (xattr: Name) => xattr === "security.selinux";

function copyXattr(source: Directory, target: Directory, name: Name, xattr: Name): void {
  if (isKept(xattr)) return;
  const value = readXattr({ directory: source, name }, xattr);
  if (value !== undefined) writeXattr({ directory: target, name }, xattr, value);
}

function statusOf(directory: Directory, name: Name): EntryStatus | undefined {
  try {
    return directory.status(name);
  } catch (error) {
    if (errorCode(error) === "ENOENT") return undefined;
    throw error;
  }
}

const plus = (a: Assembled, b: Assembled): Assembled => ({
  bytes: a.bytes + b.bytes,
  inodes: a.inodes + b.inodes,
});
