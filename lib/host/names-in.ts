// What is in a directory of ours, where one that is not there holds nothing.
import { isFailure } from "../core/failure.ts";
import type { Files } from "./files.ts";

export async function namesIn(files: Pick<Files, "list">, directory: string): Promise<readonly string[]> {
  try {
    return (await files.list(directory)).map(({ name }) => name);
  } catch (error) {
    if (isFailure(error, "not-found")) return [];
    throw error;
  }
}
