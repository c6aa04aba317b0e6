// Files for the story to tell about, and looks at what became of them.
import { mkdir, readdir, stat, writeFile } from "node:fs/promises";
import path from "node:path";

/** `count` small text files, fifty a folder, the same bytes every time. */
export async function makeFolders(folder: string, count: number): Promise<void> {
  for (let at = 0; at < count; at += 50) {
    const inner = path.join(folder, `d${at / 50}`);
    await mkdir(inner, { recursive: true });
    for (let index = at; index < Math.min(count, at + 50); index++) {
      await writeFile(
        path.join(inner, `f${index}.txt`),
        `${path.basename(folder)} ${index}\n`.repeat(1 + (index % 300)),
      );
    }
  }
}

/** In words, such as `2,000 files, 3.6 MB`. */
export async function contentOf(folder: string): Promise<string> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile());
  let bytes = 0;
  for (const file of files) bytes += (await stat(path.join(file.parentPath, file.name))).size;
  return `${files.length.toLocaleString("en")} files, ${bytesOf(bytes)}`;
}

export function bytesOf(bytes: number): string {
  return bytes < 1_000_000 ? `${Math.round(bytes / 1_000)} kB` : `${(bytes / 1_000_000).toFixed(1)} MB`;
}
