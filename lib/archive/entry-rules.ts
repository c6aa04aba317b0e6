// Which entries of an archive are taken, and as what.
import type { Attributes } from "./attributes.ts";
import { entryFailure, WHITEOUT } from "./entry-name.ts";
import { DEVICE_XATTR } from "./overlay-marks.ts";
import type { TarEntry } from "./tar-entry.ts";

export type Rules = {
  readonly kind: "image" | "archive";
  /** For an `archive`: every entry must lie under it; "" for anywhere. */
  readonly root: string;
  readonly keepSetuid: boolean;
};

const RESERVED = ".wh..wh.";
/** Hides all that lies beneath the directory it is in. */
export const OPAQUE = ".wh..wh..opq";
/** One less than what chown takes for "leave it". */
const LARGEST_ID = 0xffff_fffe;

export type Meaning =
  | { readonly kind: "entry" }
  /** Bookkeeping of old union file systems, of no meaning here. */
  | { readonly kind: "nothing" }
  | { readonly kind: "opaque" }
  | { readonly kind: "whiteout"; readonly hidden: string };

/** What the last component of an image's entry means. Failure `invalid` for a whiteout of nothing. */
export function meaningOf(components: readonly string[], rules: Rules): Meaning {
  const last = components.at(-1) ?? "";
  if (rules.kind === "archive" || !components.some((name) => name.startsWith(WHITEOUT)))
    return { kind: "entry" };
  if (last === OPAQUE) return { kind: "opaque" };
  if (components.some((name) => name.startsWith(RESERVED))) return { kind: "nothing" };
  if (!last.startsWith(WHITEOUT)) return { kind: "entry" };
  const hidden = last.slice(WHITEOUT.length);
  if (hidden === "" || hidden === "." || hidden === "..")
    throw entryFailure(components.join("/"), "is a whiteout that names no file; build the layer again");
  return { kind: "whiteout", hidden };
}

/** Failure `invalid` unless it may lie where it does and be what it is. */
export function checkEntry(entry: TarEntry, components: readonly string[], rules: Rules): void {
  const path = components.join("/");
  if (
    rules.kind === "archive" &&
    rules.root !== "" &&
    path !== rules.root &&
    !path.startsWith(`${rules.root}/`)
  )
    throw entryFailure(
      entry.name,
      `does not lie under "${rules.root}", which the layer is titled; push it again`,
    );
  if (components.length === 0 && entry.type !== "directory")
    throw entryFailure(entry.name, "names the layer itself and is no directory; pack it again");
  if (entry.uid > LARGEST_ID || entry.gid > LARGEST_ID)
    throw entryFailure(
      entry.name,
      `has the owner ${entry.uid}:${entry.gid}, and ids end at ${LARGEST_ID}; pack it with another`,
    );
  if (entry.type === "symlink" && entry.target === "")
    throw entryFailure(entry.name, "is a symlink to nothing; pack it again");
  const isSpecial = ["character", "block", "fifo"].includes(entry.type);
  if (isSpecial && rules.kind === "archive")
    throw entryFailure(entry.name, "is a device node or a fifo, which only images may hold; pack it without");
  if (isZeroDevice(entry) && !entry.xattrs.some(([name]) => name === DEVICE_XATTR))
    throw entryFailure(
      entry.name,
      "is the device 0:0, which would hide files of other layers; build it without",
    );
}

const isZeroDevice = ({ type, device }: TarEntry) =>
  type === "character" && device.major === 0 && device.minor === 0;

/** What of the entry's attributes is kept. */
export function keptAttributes(
  entry: TarEntry,
  { keepSetuid }: Rules,
): Attributes & { readonly type: TarEntry["type"] } {
  const { type, uid, gid, mtime } = entry;
  // Of a directory these bits only say which group new files get.
  const mode = keepSetuid || type === "directory" ? entry.mode : entry.mode & ~0o6000;
  const dropped = (name: string) =>
    (name.startsWith("trusted.") && !(name === DEVICE_XATTR && isZeroDevice(entry))) ||
    name === "security.selinux" ||
    (!keepSetuid && name === "security.capability");
  return { type, mode, uid, gid, mtime, xattrs: entry.xattrs.filter(([name]) => !dropped(name)) };
}
