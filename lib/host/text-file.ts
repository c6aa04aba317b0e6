// Small text files that an administrator names: settings, and what they point to.
import { readFile } from "node:fs/promises";
import { isFailure } from "../core/failure.ts";
import { failureOf } from "./errno.ts";

/** The text of the file, which `what` is for the message. Throws the Reason of what the kernel says. */
export async function readTextFile(file: string, what: string): Promise<string> {
  try {
    return await readFile(file, "utf8");
  } catch (error) {
    throw failureOf(error, `Cannot read ${what} "${file}"`);
  }
}

/** The same, and undefined where there is no such file. */
export async function findTextFile(file: string, what: string): Promise<string | undefined> {
  try {
    return await readTextFile(file, what);
  } catch (error) {
    if (isFailure(error, "not-found")) return undefined;
    throw error;
  }
}
