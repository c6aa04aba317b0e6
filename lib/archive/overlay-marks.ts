// How a layer tells overlayfs what it hides of those beneath it.
import type { EntryStatus } from "../host/entry-status.ts";

export const OPAQUE_XATTR = "trusted.overlay.opaque";
export const OPAQUE_YES: Uint8Array = Buffer.from("y");

export function isWhiteout({ type, device }: EntryStatus): boolean {
  return type === "character" && device.major === 0 && device.minor === 0;
}
