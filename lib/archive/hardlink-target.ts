// What a hardlink in an archive is another name of.
import type { Directory, Name } from "../host/directory.ts";
import { entryFailure, showName } from "./entry-name.ts";
import { type Found, lookUp } from "./look-up.ts";
import { isWhiteout } from "./overlay-marks.ts";
import type { TarEntry } from "./tar-entry.ts";

const placeOf = ({ parent, name }: Found) => ({ directory: parent, name });

/** Nothing where this layer does not have it. Failure `invalid` for what no name can be given to. */
export function findTarget(root: Directory, entry: TarEntry, target: readonly Name[]): Found | undefined {
  const found = lookUp(root, target);
  if (found.kind === "absent") return undefined;
  const through = found.kind === "blocked" ? found.status : undefined;
  if (through !== undefined)
    throw entryFailure(
      entry.name,
      `is a hardlink to ${showName(entry.target)} through a ${through.type}; pack it again`,
    );
  if (
    found.kind === "found" &&
    found.status.type !== "directory" &&
    !isWhiteout(placeOf(found), found.status)
  )
    return found;
  if (found.kind === "found") found.parent[Symbol.dispose]();
  throw entryFailure(
    entry.name,
    `is a hardlink to ${showName(entry.target)}, which is no file; pack it again`,
  );
}
