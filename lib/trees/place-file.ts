// Puts a file that is on this disk already at a second place, sharing its blocks where that can be.
import { chmod, constants, copyFile, link, utimes } from "node:fs/promises";

export type Stamp = { readonly mode: number; readonly mtime: number };

export async function stamp(at: string, { mode, mtime }: Stamp): Promise<void> {
  await chmod(at, mode);
  await utimes(at, mtime, mtime);
}

/** `to` has the bytes of `from` under that stamp. A link where the stamps agree, else a reflink, else a copy. */
export async function placeFile(from: string, fromStamp: Stamp, to: string, wanted: Stamp): Promise<void> {
  if (fromStamp.mode === wanted.mode && fromStamp.mtime === wanted.mtime && (await linked(from, to))) return;
  await copyFile(from, to, constants.COPYFILE_EXCL | constants.COPYFILE_FICLONE);
  await stamp(to, wanted);
}

async function linked(from: string, to: string): Promise<boolean> {
  try {
    await link(from, to);
    return true;
  } catch (error) {
    // A file has a limit of names (65,000 on ext4), and a file system may have none but one.
    if (["EMLINK", "EPERM", "ENOTSUP"].includes((error as NodeJS.ErrnoException).code ?? "")) return false;
    throw error;
  }
}
