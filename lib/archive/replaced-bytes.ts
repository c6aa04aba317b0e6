// Counts the files that a change takes away from what its base shows, by their sizes.
import fs from "node:fs";
import { findPieces, mayBeSparse } from "./data-pieces.ts";
import type { MergedDescent, Shown } from "./merged-descent.ts";

/** A file with several names counts once this change takes all of them away. */
export class ReplacedBytes {
  readonly #left = new Map<string, number>();
  #bytes = 0;

  /** As an archive stores them, without holes. */
  get bytes(): number {
    return this.#bytes;
  }

  add(shown: Shown): void {
    const { type, links, inode } = shown.status;
    if (type !== "file") return;
    const left = (this.#left.get(inode) ?? links) - 1;
    if (links > 1) this.#left.set(inode, left);
    if (left === 0) this.#bytes += storedBytes(shown);
  }

  /** All that is shown in the directory where the view is, and is again afterwards. */
  addInside(view: MergedDescent): void {
    const lists = [view.list()];
    while (lists.length > 0) {
      const name = lists.at(-1)?.pop();
      if (name === undefined) {
        lists.pop();
        if (lists.length > 0) view.ascend();
        continue;
      }
      const shown = view.find(name);
      if (shown === undefined) continue;
      this.add(shown);
      if (shown.status.type !== "directory") continue;
      view.descend(name);
      lists.push(view.list());
    }
  }
}

function storedBytes({ directory, name, status }: Shown): number {
  if (!mayBeSparse(status)) return status.size;
  const fd = directory.openFile(name);
  try {
    const pieces = findPieces(fd, status);
    return pieces?.reduce((sum, [, length]) => sum + length, 0) ?? status.size;
  } finally {
    fs.closeSync(fd);
  }
}
