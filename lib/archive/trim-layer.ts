// Takes out of a committed Layer what its archive leaves out, so that it shows here what others see.
import { setImmediate } from "node:timers/promises";
import { Directory, type Name } from "../host/directory.ts";
import { failureOf } from "../host/errno.ts";
import { clearFlags, removeTreeNow } from "../host/remove-tree.ts";
import { removeXattr, writeXattr } from "../host/xattrs.ts";
import { showName } from "./entry-name.ts";
import { OPAQUE_XATTR, OPAQUE_YES } from "./overlay-marks.ts";
import { PathCursor } from "./path-cursor.ts";
import { readTrims, type Trim } from "./trim-journal.ts";

/** How many steps are taken before others get their turn, and for how long: each may wait for the disk. */
const SLICE = 64;
const SLICE_MS = 2;

/**
 * `layer` is what packDelta() packed as an upper, `journal` the directory it packed into. Afterwards the Layer shows
 * over its base what its archive does. After a crash it shows that too, but for names in lists that lead nowhere, until
 * it is repeated. Not while it is mounted: what an overlay has seen of a directory that becomes transparent it does not
 * look up again. Failures: unavailable, full.
 */
export async function trimLayer(layer: string, journal: string): Promise<void> {
  using cursor = new PathCursor(Directory.open(layer));
  let steps = 0;
  let sinceMs = performance.now();
  for (const trim of readTrims(journal)) {
    if (++steps % SLICE === 0 || performance.now() - sinceMs >= SLICE_MS) {
      await setImmediate();
      sinceMs = performance.now();
    }
    try {
      apply(cursor, trim);
    } catch (error) {
      throw failureOf(error, `Cannot trim ${showName(trim.path)} out of a layer`);
    }
  }
  cursor.close();
}

function apply(cursor: PathCursor, trim: Trim): void {
  const components = trim.path === "" ? [] : trim.path.split("/");
  const name = components.at(-1) ?? "";
  const isInParent = trim.verb === "remove" || trim.verb === "whiteout";
  if (!moveTo(cursor, isInParent ? components.slice(0, -1) : components)) return;
  const place = { directory: cursor.current, name: "." };
  if (trim.verb === "remove") removeTreeNow(cursor.current, name);
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
  if (directory.ownStatus().isProtected) clearFlags(directory.fd);
}

function hide(directory: Directory, name: Name): void {
  try {
    directory.makeNode(name, "character", { major: 0, minor: 0 });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
  }
}
