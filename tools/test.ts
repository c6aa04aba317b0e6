// make test: every test, in a mount namespace of its own, so that nothing it mounts can outlive it.
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { formatTotals } from "./totals.ts";

const folder = mkdtempSync(path.join(os.tmpdir(), "larder-tests-"));
const report = path.join(folder, "report.json");
const args = [
  "run",
  "--reporter=default",
  "--reporter=json",
  `--outputFile.json=${report}`,
  ...process.argv.slice(2),
];
const namespace = ["-m", "--propagation", "private", ...(process.getuid?.() === 0 ? [] : ["-r"])];
const run = spawnSync("unshare", [...namespace, "vitest", ...args], { stdio: "inherit" });
if (run.error) {
  console.error(`Cannot start the tests: ${run.error.message}; unshare comes with the package util-linux`);
  process.exit(1);
}
try {
  console.log(formatTotals([report]));
} finally {
  rmSync(folder, { recursive: true });
}
process.exit(run.status ?? 1);
