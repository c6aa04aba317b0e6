// How a layer tells overlayfs what it hides of those beneath it, and us what is none of that.
import type { Directory } from "../host/directory.ts";
import type { EntryStatus } from "../host/entry-status.ts";
import { listXattrs, type Place, readXattr } from "../host/xattrs.ts";

export const OPAQUE_XATTR = "trusted.overlay.opaque";
export const OPAQUE_YES: Uint8Array = Buffer.from("y");
/**
 * On a device 0:0 that is one: container storage in a volume is full of them. In archives it tells them from what would
 * hide files, and on a layer too; but overlays of the kernel do not know it, and do not show such a device.
 */
export const DEVICE_XATTR = "trusted.larder.device";
/** On the root of a directory that is whole by itself: whatever is in it is data. */
export const WHOLE_XATTR = "trusted.larder.whole";
export const YES: Uint8Array = Buffer.from("y");

/** What overlayfs keeps in entries of a layer, and takes orders from. */
export const OVERLAY_XATTRS = "trusted.overlay.";

export function hasOverlayXattrs(place: Place): boolean {
  return listXattrs(place).some((name) => name.startsWith(OVERLAY_XATTRS));
}

/** What overlayfs takes for a whiteout. */
export function isZeroDevice({ type, device }: EntryStatus): boolean {
  return type === "character" && device.major === 0 && device.minor === 0;
}

/** Of an entry of a layer. */
export function isWhiteout(place: Place, status: EntryStatus): boolean {
  return isZeroDevice(status) && readXattr(place, DEVICE_XATTR) === undefined;
}

/** Whether it hides all that is beneath it. */
export function isOpaque(directory: Directory): boolean {
  return readXattr({ directory, name: "." }, OPAQUE_XATTR)?.toString() === "y";
}

/** Of a layer's root. */
export function isWhole(root: Directory): boolean {
  return readXattr({ directory: root, name: "." }, WHOLE_XATTR) !== undefined;
}
