// How a layer tells overlayfs what it hides of those beneath it.
import type { Directory } from "../host/directory.ts";
import type { EntryStatus } from "../host/entry-status.ts";
import { readXattr } from "../host/xattrs.ts";

export const OPAQUE_XATTR = "trusted.overlay.opaque";
export const OPAQUE_YES: Uint8Array = Buffer.from("y");

export function isWhiteout({ type, device }: EntryStatus): boolean {
  return type === "character" && device.major === 0 && device.minor === 0;
}

/** Whether it hides all that is beneath it. */
export function isOpaque(directory: Directory): boolean {
  return readXattr({ directory, name: "." }, OPAQUE_XATTR)?.toString() === "y";
}
