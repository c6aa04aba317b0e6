// Which files with several names have them in the base too.
import { type WalkedTrees, walkUpper } from "./upper-walk.ts";

/**
 * The inodes of the upper whose every name is one of a single file of the base: only these can be left out without
 * their names coming apart.
 */
export function findKeptLinks(trees: WalkedTrees): ReadonlySet<string> {
  const groups = new Map<string, string | undefined>();
  for (const step of walkUpper(trees)) {
    if (step.kind !== "entry" || step.status.links < 2) continue;
    const { inode } = step.status;
    const beneath = step.below?.status.inode;
    if (!groups.has(inode)) groups.set(inode, beneath);
    else if (groups.get(inode) !== beneath) groups.set(inode, undefined);
  }
  return new Set([...groups].flatMap(([inode, beneath]) => (beneath === undefined ? [] : [inode])));
}
