// Puts a file that is on this disk already at a second place, sharing its blocks where that can be.
import { chmod, constants, copyFile, link, utimes } from "node:fs/promises";

export type Stamp = { readonly mode: number; readonly mtime: number };

export function isSameStamp(one: Stamp, other: Stamp): boolean {
  return one.mode === other.mode && one.mtime === other.mtime;
}

export async function stamp(at: string, { mode, mtime }: Stamp): Promise<void> {
  await chmod(at, mode);
  await utimes(at, mtime, mtime);
}

export type Stamped = { readonly at: string; readonly stamp: Stamp };

/** `to` has the bytes of `from` under its stamp. A link where the stamps agree, else a reflink, else a copy. */
export async function placeFile(from: Stamped, to: Stamped, by: typeof link = link): Promise<void> {
  if (isSameStamp(from.stamp, to.stamp) && (await linked(by(from.at, to.at)))) return;
  await copyFile(from.at, to.at, constants.COPYFILE_EXCL | constants.COPYFILE_FICLONE);
  await stamp(to.at, to.stamp);
}

async function linked(linking: Promise<void>): Promise<boolean> {
  try {
    await linking;
    return true;
  } catch (error) {
    // A file has a limit of names (65,000 on ext4), and a file system may have none but one.
    if (["EMLINK", "EPERM", "ENOTSUP"].includes((error as NodeJS.ErrnoException).code ?? "")) return false;
    throw error;
  }
}
