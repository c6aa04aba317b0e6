// The directory of a partial: what is in it, how it is made, and how it goes.
import { mkdir, rm, rmdir, unlink } from "node:fs/promises";
import path from "node:path";

export const dataOf = (directory: string) => path.join(directory, "data");
export const mapOf = (directory: string) => path.join(directory, "map");

/** False when it is there already. */
export async function makeNew(directory: string): Promise<boolean> {
  try {
    await mkdir(directory, { mode: 0o700 });
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") return false;
    throw error;
  }
}

/** In a third of the calls that the removal of just any directory takes; false where that does not do. */
export async function removedBare(directory: string): Promise<boolean> {
  try {
    await unlink(dataOf(directory));
    await rmdir(directory);
    return true;
  } catch {
    return false;
  }
}

/** Takes away what could not be begun, without a descriptor: there may be none left. What stays is found by the next. */
export async function unmake(directory: string): Promise<void> {
  try {
    for (const file of [dataOf(directory), `${mapOf(directory)}.new`, mapOf(directory)])
      await rm(file, { force: true });
    await rmdir(directory);
  } catch {
    return;
  }
}
