// What became of the tests, summed over the reports of one or more runs.
import { existsSync, readFileSync } from "node:fs";

type Report = {
  numPassedTests: number;
  numFailedTests: number;
  numPendingTests: number;
  numTodoTests: number;
};

/** One line, such as `12 passed, 0 failed, 1 skipped`; a run that left no report is not counted. */
export function formatTotals(reports: readonly string[]): string {
  const found = reports
    .filter((file) => existsSync(file))
    .map((file) => JSON.parse(readFileSync(file, "utf8")) as Report);
  const sum = (count: (report: Report) => number) => found.map(count).reduce((a, b) => a + b, 0);
  const skipped = sum((report) => report.numPendingTests + report.numTodoTests);
  const counted = `${sum((report) => report.numPassedTests)} passed, ${sum((report) => report.numFailedTests)} failed`;
  return skipped > 0 ? `${counted}, ${skipped} skipped` : counted;
}
