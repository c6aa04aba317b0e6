// What /proc says about processes of other programs: who they are, and what they were given.
import { readdirSync, readFileSync } from "node:fs";

/** Ticks from boot to the start of the process, by which a reused pid is told apart; undefined when it is gone or a zombie. */
export function startTicksOf(pid: number): string | undefined {
  const stat = read(`/proc/${pid}/stat`);
  // The second field is the name in parentheses, and may itself hold spaces and parentheses.
  const fields = stat?.slice(stat.lastIndexOf(")") + 2).split(" ");
  return fields === undefined || fields[0] === "Z" ? undefined : fields[19];
}

/** Names the boot that those ticks count from. */
export function bootId(): string {
  return readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
}

/** The pids of those that were started with `name` in their environment, with its value. */
export function processesWith(name: string): ReadonlyArray<{ readonly pid: number; readonly value: string }> {
  return readdirSync("/proc")
    .filter((entry) => /^\d+$/.test(entry))
    .flatMap((entry) => {
      const line = read(`/proc/${entry}/environ`)
        ?.split("\0")
        .find((line) => line.startsWith(`${name}=`));
      return line === undefined ? [] : [{ pid: Number(entry), value: line.slice(name.length + 1) }];
    });
}

/** Sends `signal` to a process, or to the group of -pid; false when there is none. */
export function sendSignal(pid: number, signal: NodeJS.Signals): boolean {
  try {
    return process.kill(pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ESRCH") return false;
    throw error;
  }
}

function read(file: string): string | undefined {
  try {
    return readFileSync(file, "latin1");
  } catch (error) {
    // A process may end at any moment: between its listing and its reading (ENOENT), or inside the read (ESRCH).
    if (["ENOENT", "ESRCH", "EACCES", "EPERM"].includes((error as NodeJS.ErrnoException).code ?? ""))
      return undefined;
    throw error;
  }
}
