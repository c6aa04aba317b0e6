// What is there of volumes and their content, read from the kernel and the disk behind the plugin's back.
import { readdir, readFile } from "node:fs/promises";
import path from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { sha256 } from "./served.ts";

/** The mounts at or under a path, with their options. */
export async function mountsUnder(folder: string): Promise<ReadonlyArray<{ at: string; options: string }>> {
  const table = await readFile("/proc/self/mountinfo", "utf8");
  return table
    .split("\n")
    .map((line) => line.split(" "))
    .map(([, , , , at = "", options = ""]) => ({ at: unescape(at), options }))
    .filter(({ at }) => at === folder || at.startsWith(`${folder}/`));
}

const unescape = (text: string) =>
  text.replaceAll(/\\([0-7]{3})/g, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 8)));

/** The digest of every file under the folder, by path. */
export async function digestsIn(folder: string): Promise<Record<string, string>> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const files = entries
    .filter((entry) => entry.isFile())
    .map((entry) => path.join(entry.parentPath, entry.name));
  const digests = await Promise.all(
    files.map(async (file) => [path.relative(folder, file), sha256(await readFile(file))] as const),
  );
  return Object.fromEntries(digests.sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** What `digestsIn` finds where these contents are. */
export function digestsOf(contents: Readonly<Record<string, string | Uint8Array>>): Record<string, string> {
  return Object.fromEntries(Object.entries(contents).map(([name, content]) => [name, sha256(content)]));
}

/** The names in a directory; none where there is no directory. */
export async function namesIn(directory: string): Promise<readonly string[]> {
  try {
    return await readdir(directory);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
    throw error;
  }
}

const LIMIT_MS = 120_000 * Number(process.env["LARDER_VM_SLOWNESS"] ?? 1);

/** Waits for what comes about behind the calls, such as an empty trash. */
export async function until(holds: () => boolean | Promise<boolean>, what: string): Promise<void> {
  const last = performance.now() + LIMIT_MS;
  while (!(await holds())) {
    if (performance.now() > last) throw new Error(`it did not come about in time that ${what}`);
    await pause(10);
  }
}
