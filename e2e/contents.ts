// What a folder holds, so that two of them can be held against each other.
import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { lstat, readdir, readlink } from "node:fs/promises";
import path from "node:path";
import { pipeline } from "node:stream/promises";

/** Every file by its path and the digest of its content, every symlink with its target. */
export async function contentsOf(folder: string): Promise<Readonly<Record<string, string>>> {
  const names = await readdir(folder, { recursive: true });
  const told = new Map<string, string>();
  for (const name of names.sort()) {
    const at = path.join(folder, name);
    const found = await lstat(at);
    if (found.isFile()) told.set(name, await sha256Of(at));
    else if (found.isSymbolicLink()) told.set(name, `-> ${await readlink(at)}`);
    else if (!found.isDirectory()) told.set(name, `odd: ${(found.mode & 0o170000).toString(8)}`);
  }
  return Object.fromEntries(told);
}

export async function sha256Of(file: string): Promise<string> {
  const hash = createHash("sha256");
  await pipeline(createReadStream(file), hash);
  return hash.digest("hex");
}
