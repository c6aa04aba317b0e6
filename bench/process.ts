// What the kernel knows about a process.
import { readdir, readFile } from "node:fs/promises";

export type Memory = { readonly nowBytes: number; readonly highestBytes: number };

export async function memoryOf(pid: number): Promise<Memory> {
  const status = await readFile(`/proc/${pid}/status`, "latin1");
  const kibibytes = (name: string) =>
    Number(new RegExp(`^${name}:\\s+(\\d+) kB`, "m").exec(status)?.[1]) * 1_024;
  return { nowBytes: kibibytes("VmRSS"), highestBytes: kibibytes("VmHWM") };
}

export type ProcessorTime = { readonly ownMs: number; readonly childrenMs: number };

/** User and system time so far: its own with all its threads, and that of its children which have ended. */
export async function processorTimeOf(pid: number): Promise<ProcessorTime> {
  const fields = await readFile(`/proc/${pid}/stat`, "latin1");
  // The name before them may hold anything, a ")" too.
  const [user, system, childrenUser, childrenSystem] = fields
    .slice(fields.lastIndexOf(")") + 2)
    .split(" ")
    .slice(11, 15)
    .map((ticks) => Number(ticks) * 10) as [number, number, number, number];
  return { ownMs: user + system, childrenMs: childrenUser + childrenSystem };
}

export async function countOpenFiles(pid: number): Promise<number> {
  return (await readdir(`/proc/${pid}/fd`)).length;
}

export async function countMounts(): Promise<number> {
  const table = await readFile("/proc/self/mountinfo", "latin1");
  return table.trimEnd().split("\n").length;
}
