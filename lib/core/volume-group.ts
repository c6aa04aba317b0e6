// What a pod's fsGroup changes of a volume's entries, and how that is taken back before anything is written back.
import { Failure } from "./failure.ts";

/** The part of an entry that a group is about; `mode` means nothing of a symlink. */
export type Owned = { readonly isDirectory: boolean; readonly gid: number; readonly mode: number };

/** The group a volume is made over for, and what its root would be without. */
export type VolumeGroup = { readonly gid: number; readonly root: Owned };

const SETGID = 0o2000;
/** As the kubelet does it to volumes of drivers that leave it to do so. */
const addedBits = ({ isDirectory }: Pick<Owned, "isDirectory">) => (isDirectory ? SETGID | 0o770 : 0o660);

/** The last number is no group's: it means "as it is" to the kernel. */
const HIGHEST = 2 ** 32 - 2;

/** What the kubelet sends as `volume_mount_group`; none where the pod has no fsGroup. Throws `invalid`. */
export function parseGroup(text: string): number | undefined {
  if (text === "") return undefined;
  const gid = Number(text);
  if (/^\d{1,10}$/.test(text) && gid <= HIGHEST) return gid;
  throw new Failure(
    "invalid",
    `Cannot mount for the group "${text.slice(0, 80)}": it is not a number from 0 to ${HIGHEST}; mend fsGroup`,
  );
}

/** The entry as pods of the group find it: theirs to read and to write, and so is what they make in it. */
export function giveToGroup(entry: Owned, gid: number): Owned {
  return { ...entry, gid, mode: entry.mode | addedBits(entry) };
}

/** Whether a volume with such a root needs nothing done to it: all of it counts as its root does. */
export function isForGroup(root: Owned, gid: number): boolean {
  const bits = addedBits(root);
  return root.gid === gid && (root.mode & bits) === bits;
}

/**
 * The entry as it is without the group. What stands over an entry of the base is its group's again, without the bits
 * that only giveToGroup() added; what pods made is of the root's group. What they gave to others is left alone. The
 * same for any number of times, and whichever group it was.
 */
export function takeFromGroup(entry: Owned, below: Owned | undefined, { gid, root }: VolumeGroup): Owned {
  if (entry.gid !== gid) return entry;
  if (below?.isDirectory === entry.isDirectory) {
    const added = addedBits(entry) & ~below.mode;
    return { ...entry, gid: below.gid, mode: entry.mode & ~added };
  }
  const inherited = entry.isDirectory ? SETGID & ~root.mode : 0;
  return { ...entry, gid: root.gid, mode: entry.mode & ~inherited };
}
