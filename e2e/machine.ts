// A machine of tools/vm for tests that cut its power: one boot after the other on one disk.
import { spawnSync } from "node:child_process";
import path from "node:path";

const top = path.resolve(import.meta.dirname, "..");
/** For what hangs: how fast the machine is nobody knows. */
const LIMIT_S = 3_600;
/** Of what it said, the end tells why. */
const LINES = 60;

export type Boot = {
  /** Of e2e/, run in the machine with `words`; it tells what it found in its last line, as JSON. */
  readonly program: string;
  readonly words: readonly string[];
  /** Where the disk of XFS is kept, for the next boot. */
  readonly disk: string;
  /** Cuts the power when the program ends: what was not synced by then is lost. */
  readonly cutsPower?: boolean;
};

/** What the program found. Throws with all that is known of it where it failed, or the machine did. */
export function boot({ program, words, disk, cutsPower = false }: Boot): unknown {
  const options = ["--limit", String(LIMIT_S), "--keep-disk", disk, "--disk", "1G"];
  if (cutsPower) options.push("--kill-on-exit");
  const command = [process.execPath, path.join(top, "e2e", program), ...words];
  const run = spawnSync(path.join(top, "tools", "vm"), [...options, "--", ...command], {
    cwd: top,
    encoding: "utf8",
    maxBuffer: 2 ** 28,
  });
  if (run.error !== undefined) throw run.error;
  // What stands in stderr besides, such as a warning of Node's, is no finding.
  if (run.status === 0) return JSON.parse(run.stdout.trim().split("\n").at(-1) ?? "");
  const said = [...endOf(run.stdout), ...endOf(run.stderr)].join("\n");
  throw new Error(`the boot "${words.join(" ")}" ended with ${run.status ?? run.signal}:\n${said}`);
}

const endOf = (text: string) => text.trim().split("\n").slice(-LINES);
