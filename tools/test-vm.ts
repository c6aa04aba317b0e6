// make test-vm: the tests that need a kernel with XFS quotas, in tools/vm's machine; then those that cut its power.
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { formatFailed, formatSkipped, formatTotals } from "./totals.ts";

const folder = mkdtempSync(path.join(os.tmpdir(), "larder-test-vm-"));
const inMachine = path.join(folder, "machine.json");
const withPowerCuts = path.join(folder, "power.json");
const filters = process.argv.slice(2);

function vitest(tests: "vm.test" | "power.test", report: string): readonly string[] {
  const reporters = ["--reporter=default", "--reporter=json", `--outputFile.json=${report}`];
  return [`LARDER_TESTS=${tests}`, "vitest", "run", "--passWithNoTests", ...reporters, ...filters];
}

console.log("test-vm: in a machine with XFS quotas (its start takes seconds, all in it longer than here)");
const machine = ["--limit", "3600", "--out", folder, "--", "env", ...vitest("vm.test", inMachine)];
const runs = [
  () => spawnSync(path.join(import.meta.dirname, "vm"), machine, { stdio: "inherit" }),
  () => spawnSync("env", vitest("power.test", withPowerCuts), { stdio: "inherit" }),
];
try {
  const failed = runs.map((run) => run()).filter(({ status, error }) => error !== undefined || status !== 0);
  for (const line of formatSkipped([inMachine, withPowerCuts])) console.log(line);
  for (const line of formatFailed([inMachine, withPowerCuts])) console.log(line);
  console.log(formatTotals([inMachine, withPowerCuts]));
  for (const { error } of failed) if (error) console.error(`Cannot run the tests: ${error.message}`);
  process.exitCode = failed.length > 0 ? 1 : 0;
} finally {
  rmSync(folder, { recursive: true });
}
