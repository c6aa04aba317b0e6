// Makes what a claim's pods will write to: the root of an overlay's upper, or a whole copy of the base.
import { existsSync, mkdirSync, renameSync } from "node:fs";
import path from "node:path";
import { Directory } from "../host/directory.ts";
import { failureOf } from "../host/errno.ts";
import { removeTree } from "../host/remove-tree.ts";
import { writeXattr } from "../host/xattrs.ts";
import { type Attributes, applyToDirectory, readAttributes } from "./attributes.ts";
import { assembleLayers } from "./clone-tree.ts";
import { WHOLE_XATTR, YES } from "./overlay-marks.ts";

/** What the volume's owner says of its root; what is not said is the base's, or everybody's where there is none. */
export type RootWishes = { readonly uid?: number; readonly gid?: number; readonly mode?: number };

/** Pods run as any user, and an empty volume that only root may write to is of no use to them. */
const EVERYBODYS: Attributes = {
  mode: 0o777,
  uid: 0,
  gid: 0,
  mtime: { seconds: 0, nanoseconds: 0 },
  xattrs: [],
};

/** What is to be made: an upper, or a copy, and how its root is to look. */
export type Filling = {
  readonly upper: string;
  readonly layout: "overlay" | "copy";
  readonly wishes: RootWishes;
};

/** What pods write to is there, whole; once it is, it stays as it is. Failures: those of a disk, `full` among them. */
export async function fillUpper({ upper, layout, wishes }: Filling, below: readonly string[]): Promise<void> {
  await (layout === "copy" ? startCopy : startUpper)(upper, below, wishes);
}

/** The upper is there and its root looks like the base's (`below`: topmost first). One that is there stays as it is. */
export async function startUpper(upper: string, below: readonly string[], wishes: RootWishes): Promise<void> {
  await appear(upper, async (fresh) => {
    mkdirSync(fresh, { mode: 0o700 });
    describe(fresh, below, wishes);
  });
}

/** The same, with all of the base in it: as reflinks where the file system has them. */
export async function startCopy(upper: string, below: readonly string[], wishes: RootWishes): Promise<void> {
  await appear(upper, async (fresh) => {
    if (below.length === 0) mkdirSync(fresh, { mode: 0o700 });
    else await assembleLayers(below, fresh, { links: "reflink-or-copy" });
    using directory = Directory.open(fresh);
    writeXattr({ directory, name: "." }, WHOLE_XATTR, YES);
    describe(fresh, below, wishes);
  });
}

/** By a rename, so that it is never seen half made. */
async function appear(at: string, make: (fresh: string) => Promise<void>): Promise<void> {
  if (existsSync(at)) return;
  const [directory, name] = [path.dirname(at), `${path.basename(at)}.new`];
  await removeTree(directory, name);
  try {
    await make(path.join(directory, name));
    renameSync(path.join(directory, name), at);
  } catch (error) {
    // What did not fit would be charged until somebody tries again.
    await removeTree(directory, name);
    throw failureOf(error, `Cannot make "${at}"`);
  }
}

function describe(root: string, below: readonly string[], wishes: RootWishes): void {
  using directory = Directory.open(root);
  applyToDirectory(directory, describeRoot(below, wishes));
}

/** What the root of a volume over these layers is before a pod changes it. */
export function describeRoot(below: readonly string[], { uid, gid, mode }: RootWishes): Attributes {
  const base = topOf(below);
  return { ...base, uid: uid ?? base.uid, gid: gid ?? base.gid, mode: mode ?? base.mode };
}

function topOf([top]: readonly string[]): Attributes {
  if (top === undefined) return EVERYBODYS;
  using directory = Directory.open(top);
  return readAttributes(directory, ".", directory.ownStatus());
}
