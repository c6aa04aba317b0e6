// Attempts: what a program does for us happens in a directory of its own, recorded, so that nothing outlives us.
import { randomUUID } from "node:crypto";
import { readFileSync, renameSync, writeFileSync } from "node:fs";
import { mkdir, readdir, rm } from "node:fs/promises";
import path from "node:path";
import { setTimeout } from "node:timers/promises";
import { failureOf } from "./errno.ts";
import { bootId, processesWith, sendSignal, startTicksOf } from "./process-table.ts";

/** In the environment of the program and of all it starts: the name of its attempt. */
const MARK = "LARDER_ATTEMPT";
const RECORD = "process.json";

/** A killed process may start another first, and takes a moment to die; one that hangs in the kernel must not hold us up. */
const LOOKS = 100;
const LOOK_AGAIN_MS = 10;

export type Attempt = AsyncDisposable & {
  readonly id: string;
  /** Empty at first, and the program's alone; removed on disposal. */
  readonly directory: string;
  /** What the program's environment must hold. */
  readonly env: Readonly<Record<string, string>>;
  /** Writes down which process it is, in the same tick as it was started. */
  record(pid: number): void;
};

/** A new attempt under `root`, which is made where it is missing. Failures: `full`, `unavailable`, as the disk has it. */
export async function openAttempt(root: string): Promise<Attempt> {
  const id = randomUUID();
  const home = path.join(root, id);
  const directory = path.join(home, "work");
  try {
    await mkdir(directory, { recursive: true, mode: 0o700 });
  } catch (error) {
    throw failureOf(error, `Cannot make a directory for an attempt under "${root}"`);
  }
  return {
    id,
    directory,
    env: { [MARK]: id },
    record(pid) {
      const file = path.join(home, RECORD);
      writeFileSync(`${file}.new`, JSON.stringify({ pid, startTicks: startTicksOf(pid), boot: bootId() }));
      renameSync(`${file}.new`, file);
    },
    [Symbol.asyncDispose]: () => rm(home, { recursive: true, force: true }),
  };
}

/**
 * Ends every process that an earlier life of ours left running, with its descendants, then removes the attempts.
 * To be called at start, under the root's lock. Resolves to how many processes were ended.
 */
export async function sweepAttempts(root: string): Promise<number> {
  await mkdir(root, { recursive: true, mode: 0o700 });
  const ids = new Set(await readdir(root));
  const ended = new Set([...ids].flatMap((id) => endRecorded(path.join(root, id, RECORD)) ?? []));
  for (let look = 0; look < LOOKS; look += 1) {
    const running = markedOf(ids);
    if (running.length === 0) break;
    for (const pid of running) if (sendSignal(pid, "SIGKILL")) ended.add(pid);
    await setTimeout(LOOK_AGAIN_MS);
  }
  for (const id of ids) await rm(path.join(root, id), { recursive: true, force: true });
  return ended.size;
}

/** The pid, where the process that was recorded was still there. It leads a group in which its descendants are. */
function endRecorded(file: string): number | undefined {
  const record = readRecord(file);
  if (record?.startTicks === undefined || record.boot !== bootId()) return undefined;
  if (startTicksOf(record.pid) !== record.startTicks) return undefined;
  return sendSignal(-record.pid, "SIGKILL") || sendSignal(record.pid, "SIGKILL") ? record.pid : undefined;
}

type ProcessRecord = { readonly pid: number; readonly startTicks?: string; readonly boot?: string };

function readRecord(file: string): ProcessRecord | undefined {
  try {
    const record = JSON.parse(readFileSync(file, "utf8")) as Omit<ProcessRecord, "pid"> & {
      readonly pid?: unknown;
    };
    return typeof record.pid === "number" && record.pid > 1 ? { ...record, pid: record.pid } : undefined;
  } catch {
    // None was written, or a power loss emptied it; the mark in the environment still finds the process.
    return undefined;
  }
}

function markedOf(ids: ReadonlySet<string>): number[] {
  return processesWith(MARK)
    .filter(({ pid, value }) => ids.has(value) && pid !== process.pid && startTicksOf(pid) !== undefined)
    .map(({ pid }) => pid);
}
