// Removes whole trees by descriptor, whatever is nested in them.
import { setImmediate } from "node:timers/promises";
import { Failure } from "../core/failure.ts";
import { Descent } from "./descent.ts";
import { Directory, type Name, toName } from "./directory.ts";
import { unprotect, unprotectOpen } from "./protection.ts";

/** How many entries go before others get their turn, and for how long: a disk that is told at once what it may forget takes a millisecond for each. */
const SLICE = 128;
const SLICE_MS = 2;

/**
 * Afterwards `name` is not in the directory at the path `parent`, whether or not it was. Follows no symlink, clears
 * immutable and append-only flags, takes any depth, and lets others run in between. Failure `in-use`, with what is
 * left left as it is, when something is mounted in it.
 */
export async function removeTree(parent: string, name: string): Promise<void> {
  using directory = Directory.open(parent);
  for (const _slice of removal(directory, toName(name))) await setImmediate();
}

/** The same at one go, for a thread of its own. */
export function removeTreeNow(parent: Directory, name: Name): void {
  for (const _slice of removal(parent, name));
}

function* removal(parent: Directory, name: Name): Generator<void> {
  if (removeLeaf(parent, name)) return;
  using descent = new Descent(parent.enter("."));
  const lists = [[name]];
  let count = 0;
  let sinceMs = performance.now();
  while (lists.length > 0) {
    if (++count % SLICE === 0 || performance.now() - sinceMs >= SLICE_MS) {
      yield;
      sinceMs = performance.now();
    }
    const next = lists.at(-1)?.pop();
    if (next !== undefined) {
      if (!removeLeaf(descent.current, next)) lists.push(enter(descent, next));
      continue;
    }
    lists.pop();
    if (lists.length > 0) leave(descent);
  }
}

/** The names to remove in it. */
function enter(descent: Descent, name: Name): Name[] {
  const directory = descent.descend(name);
  if (directory.ownStatus().isMountRoot) throw mounted(descent.path);
  return directory.list();
}

function leave(descent: Descent): void {
  const name = descent.nameAt(descent.depth) ?? "";
  descent.ascend();
  attempt(descent.current, name, () => descent.current.removeDirectory(name));
}

/** Whether it is gone; false for a directory. */
function removeLeaf(directory: Directory, name: Name): boolean {
  try {
    attempt(directory, name, () => directory.removeFile(name));
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EISDIR") return false;
    throw error;
  }
}

function attempt(directory: Directory, name: Name, remove: () => void): void {
  try {
    remove();
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT") return;
    if (code === "EBUSY") throw mounted(name, error);
    if (code !== "EPERM") throw error;
    // Of the entry and of the directory it is in: either keeps it from going.
    unprotectOpen(directory.fd);
    unprotect(directory, name);
    remove();
  }
}

function mounted(path: string, cause?: unknown): Failure {
  return new Failure(
    "in-use",
    `Cannot remove "${path}": something is mounted there; unmount it, and it is removed with the next attempt`,
    { cause },
  );
}
