// Makes what a claim's pods left over to a group, and takes it back before it is written back.
import { setImmediate } from "node:timers/promises";
import {
  giveToGroup,
  isForGroup,
  type Owned,
  takeFromGroup,
  type VolumeGroup,
} from "../core/volume-group.ts";
import { Descent } from "../host/descent.ts";
import { Directory, type Name } from "../host/directory.ts";
import type { EntryStatus } from "../host/entry-status.ts";
import { failureOf } from "../host/errno.ts";
import { unprotect } from "../host/protection.ts";
import { readXattr, writeXattr } from "../host/xattrs.ts";
import type { Place } from "./copy-entry.ts";
import { isWhiteout } from "./overlay-marks.ts";
import { describeRoot, type RootWishes } from "./start-upper.ts";
import { type WalkedTrees, walkUpper } from "./upper-walk.ts";

/** How many entries are done before others get their turn. */
const SLICE = 64;
/** A change of the owner takes it from a file. */
const CAPABILITIES = "security.capability";

/** Whether a volume whose root this directory is needs nothing done for the group. */
export function isGroups(root: string, gid: number): boolean {
  using directory = Directory.open(root);
  return isForGroup(toOwned(directory.ownStatus()), gid);
}

/**
 * All in the directory, and at last itself, is the group's to read and write. Not while it is mounted; repeating is
 * safe. Failures: those of the disk.
 */
export async function giveTreeToGroup(root: string, gid: number): Promise<void> {
  using descent = new Descent(Directory.open(root));
  const lists = [descent.current.list()];
  for (let steps = 1; lists.length > 0; steps++) {
    if (steps % SLICE === 0) await setImmediate();
    const name = lists.at(-1)?.pop();
    if (name === undefined) {
      // Left when all in it is done, so that the root tells of the whole.
      give(descent.current, ".", gid);
      lists.pop();
      if (lists.length > 0) descent.ascend();
    } else if (descent.current.status(name).type === "directory") {
      lists.push(descent.descend(name).list());
    } else give(descent.current, name, gid);
  }
}

/** What a claim's pods left over what it began with, and whose it was meanwhile. `below` may be nothing. */
export type Given = WalkedTrees & { readonly gid: number; readonly wishes: RootWishes };

/**
 * What stands over the base is its group's again, and what pods made is of the group that the root began with. Not while
 * it is mounted; repeating is safe. Failures: those of the disk.
 */
export async function takeTreeFromGroup(given: Given): Promise<void> {
  const { mode, gid: rootGid } = describeRoot(given.below, given.wishes);
  const group: VolumeGroup = { gid: given.gid, root: { isDirectory: true, mode, gid: rootGid } };
  let steps = 0;
  for (const step of walkUpper(given)) {
    if (++steps % SLICE === 0) await setImmediate();
    if (step.kind !== "entry" && step.kind !== "directory") continue;
    const below = step.below === undefined ? undefined : toOwned(step.below.status);
    const stood = step.name === "." ? group.root : below;
    change(step, step.status, takeFromGroup(toOwned(step.status), stood, group));
  }
}

/** What is done to directories for a group. */
export type GroupTrees = {
  readonly isGroups: typeof isGroups;
  readonly give: typeof giveTreeToGroup;
  readonly take: typeof takeTreeFromGroup;
};

export const groupTrees: GroupTrees = { isGroups, give: giveTreeToGroup, take: takeTreeFromGroup };

function give(directory: Directory, name: Name, gid: number): void {
  const status = directory.status(name);
  const place = { directory, name };
  if (!isWhiteout(place, status)) change(place, status, giveToGroup(toOwned(status), gid));
}

const toOwned = ({ type, gid, mode }: EntryStatus): Owned => ({
  isDirectory: type === "directory",
  gid,
  mode,
});

function change(place: Place, status: EntryStatus, { gid, mode }: Owned): void {
  const { directory, name } = place;
  const hasMode = status.type !== "symlink";
  if (status.gid === gid && (!hasMode || status.mode === mode)) return;
  try {
    if (status.isProtected) unprotect(directory, name);
    const capabilities = status.type === "file" ? readXattr(place, CAPABILITIES) : undefined;
    if (status.gid !== gid) directory.setOwner(name, status.uid, gid);
    // Again where it stays the same: a change of the owner takes set-user-id.
    if (hasMode) directory.setMode(name, mode);
    if (capabilities !== undefined) writeXattr(place, CAPABILITIES, capabilities);
  } catch (error) {
    throw failureOf(error, "Cannot change the group of a volume's files");
  }
}
