// make test: every test, apart from the machine's own mounts, and one line that sums them up.
import { mkdtempSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { runApart } from "./namespace.ts";
import { formatFailed, formatSkipped, formatTotals } from "./totals.ts";

const folder = mkdtempSync(path.join(os.tmpdir(), "larder-tests-"));
const report = path.join(folder, "report.json");
try {
  const reporters = ["--reporter=default", "--reporter=json", `--outputFile.json=${report}`];
  const status = runApart("vitest", ["run", ...reporters, ...process.argv.slice(2)]);
  for (const line of formatSkipped([report])) console.log(line);
  for (const line of formatFailed([report])) console.log(line);
  console.log(formatTotals([report]));
  process.exitCode = status;
} finally {
  rmSync(folder, { recursive: true });
}
