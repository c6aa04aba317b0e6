// Looks whether what was brought is what was pushed, by number and size: a fast failure must not count as fast.
import { lstat, readdir } from "node:fs/promises";
import path from "node:path";
import type { Shape } from "./artifacts/catalogue.ts";

export async function checkTree(folder: string, shape: Shape): Promise<void> {
  const found = await sum(folder);
  // Sizes that follow a distribution are rounded down one by one.
  const enough = found.bytes <= shape.bytes && found.bytes >= shape.bytes * 0.97;
  if (found.files === shape.files && enough) return;
  throw new Error(
    `${folder} has ${found.files} files of ${found.bytes} bytes instead of ${shape.files} of ${shape.bytes}`,
  );
}

async function sum(folder: string): Promise<{ files: number; bytes: number }> {
  const total = { files: 0, bytes: 0 };
  for (const entry of await readdir(folder, { withFileTypes: true, recursive: true })) {
    if (!entry.isFile()) continue;
    total.files += 1;
    total.bytes += (await lstat(path.join(entry.parentPath, entry.name))).size;
  }
  return total;
}
