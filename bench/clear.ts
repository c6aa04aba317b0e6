// Takes a folder away with whatever a side left mounted in it, and that only.
import { readFile, rm } from "node:fs/promises";
import { execa } from "execa";

export async function clear(folder: string): Promise<void> {
  await unmountIn(folder);
  await rm(folder, { recursive: true, force: true });
}

export async function unmountIn(folder: string): Promise<void> {
  const table = await readFile("/proc/self/mountinfo", "utf8");
  const targets = table.split("\n").map((line) => line.split(" ")[4] ?? "");
  const inside = targets.filter((target) => target.startsWith(`${folder}/`));
  for (const target of inside.reverse()) await execa("umount", [target]);
}
