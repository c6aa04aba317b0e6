// What differs between two folders, packed by tar and zstd: the least that any layer of changed files can take.
import { lstat, readdir, readFile, readlink, writeFile } from "node:fs/promises";
import path from "node:path";
import { execa } from "execa";

/** The bytes of tar+zstd of the entries that `before` does not have so. */
export async function packDifference(before: string, after: string): Promise<number> {
  const names: string[] = [];
  for (const entry of await readdir(after, { withFileTypes: true, recursive: true })) {
    if (entry.isDirectory()) continue;
    const name = path.relative(after, path.join(entry.parentPath, entry.name));
    if ((await contentOf(before, name)) !== (await contentOf(after, name))) names.push(name);
  }
  const list = path.join(after, "..", `${path.basename(after)}.list`);
  await writeFile(list, names.join("\0"));
  const args = ["--use-compress-program=zstd -T0", "-cf", "-", "-C", after, "--null", "-T", list];
  const { stdout } = await execa("tar", args, { encoding: "buffer", maxBuffer: 2 ** 31 });
  return stdout.length;
}

/** Which files are executable does not matter here. */
async function contentOf(folder: string, name: string): Promise<string | undefined> {
  const file = path.join(folder, name);
  const status = await lstat(file).catch(() => undefined);
  if (status === undefined) return undefined;
  return status.isSymbolicLink() ? `-> ${await readlink(file)}` : await readFile(file, "latin1");
}
