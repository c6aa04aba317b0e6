// Finds a program as the system would start it: by its path, or by its name on a PATH.
import { constants } from "node:fs";
import { access, stat } from "node:fs/promises";
import path from "node:path";

/** Where it is; undefined where there is none that may be run. */
export async function findProgram(program: string, searched: string): Promise<string | undefined> {
  const places = program.includes("/")
    ? [program]
    : searched.split(path.delimiter).map((directory) => path.join(directory, program));
  for (const place of places) if (await isProgram(place)) return place;
  return undefined;
}

async function isProgram(place: string): Promise<boolean> {
  try {
    await access(place, constants.X_OK);
    return (await stat(place)).isFile();
  } catch {
    return false;
  }
}
