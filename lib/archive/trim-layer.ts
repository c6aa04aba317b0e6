// Takes out of a committed Layer what its archive leaves out, so that it shows here what others see.
import { Directory, type Name } from "../host/directory.ts";
import { failureOf } from "../host/errno.ts";
import { unprotectOpen } from "../host/protection.ts";
import { removeXattr, writeXattr } from "../host/xattrs.ts";
import { showName } from "./entry-name.ts";
import { Leavings } from "./leavings.ts";
import { OPAQUE_XATTR, OPAQUE_YES } from "./overlay-marks.ts";
import { PathCursor } from "./path-cursor.ts";
import { readTrims, type Trim } from "./trim-journal.ts";

export type TrimPace = {
  /** An earlier trimming of it may have come to anything. */
  readonly isBegun: boolean;
  /** From when this holds, only what changes what the Layer shows is still done: somebody waits to start from it. */
  readonly isHasty: () => boolean;
};

/**
 * `layer` is what packDelta() packed as an upper, `journal` the directory it packed into. Afterwards the Layer shows
 * over its base what its archive does, and what went is in the journal's directory; false where entries that equal the
 * base's were left in it for want of time, all else included where it was not begun by then. After a crash it shows
 * that too, but for names in lists that lead nowhere, until it is repeated. Not while it is mounted: what an overlay has
 * seen of a directory that becomes transparent it does not look up again. For a thread of its own. Failures:
 * unavailable, full.
 */
export function trimLayer(layer: string, journal: string, { isBegun, isHasty }: TrimPace): boolean {
  if (!isBegun && isHasty()) return false;
  using cursor = new PathCursor(Directory.open(layer));
  using leavings = new Leavings(journal);
  let isWhole = true;
  for (const trim of readTrims(journal)) {
    if (trim.verb === "remove" && isHasty()) {
      isWhole = false;
      continue;
    }
    try {
      apply(cursor, trim, leavings);
    } catch (error) {
      throw failureOf(error, `Cannot trim ${showName(trim.path)} out of a layer`);
    }
  }
  cursor.close();
  return isWhole;
}

function apply(cursor: PathCursor, trim: Trim, leavings: Leavings): void {
  const components = trim.path === "" ? [] : trim.path.split("/");
  const name = components.at(-1) ?? "";
  const isInParent = ["remove", "drop", "whiteout"].includes(trim.verb);
  if (!moveTo(cursor, isInParent ? components.slice(0, -1) : components)) return;
  const place = { directory: cursor.current, name: "." };
  if (trim.verb === "remove" || trim.verb === "drop") leavings.take(cursor.current, name);
  else if (trim.verb === "whiteout") hide(cursor.current, name);
  else if (trim.verb === "time") cursor.setTime(trim.time);
  else if (trim.verb === "opaque") writeXattr(place, OPAQUE_XATTR, OPAQUE_YES);
  else removeXattr(place, OPAQUE_XATTR);
}

/** False where a directory on the way is gone, which an earlier run did. */
function moveTo(cursor: PathCursor, components: readonly Name[]): boolean {
  try {
    unprotect(cursor.current);
    for (let at = cursor.leaveTo(components); at < components.length; at++) {
      cursor.enter(components[at] ?? "");
      unprotect(cursor.current);
    }
    return true;
  } catch (error) {
    if (["ENOENT", "ENOTDIR", "ELOOP"].includes((error as NodeJS.ErrnoException).code ?? "")) return false;
    throw error;
  }
}

function unprotect(directory: Directory): void {
  if (directory.ownStatus().isProtected) unprotectOpen(directory.fd);
}

function hide(directory: Directory, name: Name): void {
  try {
    directory.makeNode(name, "character", { major: 0, minor: 0 });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
  }
}
