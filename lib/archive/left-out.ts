// What no archive of ours holds, and the note of it.
import type { Name } from "../host/directory.ts";
import type { EntryStatus } from "../host/entry-status.ts";
import { LONGEST_NAME, showName, WHITEOUT } from "./entry-name.ts";

const MOST_NAMED = 5;

/** How much was left out, and the first few by name and reason, for a message. */
export type LeftOut = { readonly count: number; readonly first: readonly string[] };

/** Nothing for an entry that is packed, or a device node. `pathBytes` is the length of what stands before its name. */
export function whyLeftOut(name: Name, { type }: EntryStatus, pathBytes: number): string | undefined {
  if (name.startsWith(WHITEOUT)) return "its name would be taken for a whiteout";
  if (pathBytes + name.length + WHITEOUT.length > LONGEST_NAME)
    return "its path is longer than an archive takes";
  return type === "socket" ? "it is a socket" : undefined;
}

export const DEVICE_NOTE = "it is a device node";
/** Of the attributes alone: the entry itself is packed. */
export const MARKS_NOTE = "its attributes trusted.overlay.* would be orders to overlays elsewhere";
/** Likewise. */
export const XATTRS_NOTE = "its extended attributes are more than an archive takes of one entry, 512 KiB";

export function isDevice({ type }: EntryStatus): boolean {
  return type === "character" || type === "block";
}

export class LeftOutNotes {
  readonly #first: string[] = [];
  #count = 0;

  add(path: string, why: string): void {
    this.#count++;
    if (this.#first.length < MOST_NAMED) this.#first.push(`${showName(path)}: ${why}`);
  }

  toLeftOut(): LeftOut {
    return { count: this.#count, first: [...this.#first] };
  }
}
