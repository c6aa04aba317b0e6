// What the kernel knows about a process.
import { readdir, readFile } from "node:fs/promises";

export type Memory = { readonly nowBytes: number; readonly highestBytes: number };

export async function memoryOf(pid: number): Promise<Memory> {
  const status = await readFile(`/proc/${pid}/status`, "latin1");
  const kibibytes = (name: string) =>
    Number(new RegExp(`^${name}:\\s+(\\d+) kB`, "m").exec(status)?.[1]) * 1_024;
  return { nowBytes: kibibytes("VmRSS"), highestBytes: kibibytes("VmHWM") };
}

export async function countOpenFiles(pid: number): Promise<number> {
  return (await readdir(`/proc/${pid}/fd`)).length;
}

export async function countMounts(): Promise<number> {
  const table = await readFile("/proc/self/mountinfo", "latin1");
  return table.trimEnd().split("\n").length;
}
