// What became of the tests, summed over the reports of one or more runs.
import { existsSync, readFileSync } from "node:fs";
import { stripVTControlCharacters } from "node:util";

const MOST_CHARACTERS = 2_000;

type Report = {
  numPassedTests: number;
  numFailedTests: number;
  numPendingTests: number;
  numTodoTests: number;
  testResults: Array<{ name: string; message: string; status: string; assertionResults: Assertion[] }>;
};

type Assertion = { status: string; ancestorTitles: string[]; fullName: string; failureMessages?: string[] };

/** What failed and why, for the end of a log that is cut: each test with its first message, and each file that did not load. */
export function formatFailed(reports: readonly string[]): readonly string[] {
  const files = readReports(reports).flatMap(({ testResults }) => testResults);
  return files.flatMap(({ name, message, status, assertionResults }) => {
    const failed = assertionResults.filter((assertion) => assertion.status === "failed");
    const lines = failed.map(({ fullName, failureMessages = [] }) => [fullName, failureMessages[0] ?? ""]);
    if (status === "failed" && failed.length === 0) lines.push([name, message]);
    return lines.map(([what = "", why = ""]) => `failed: ${what}: ${shorten(why)}`);
  });
}

/** In one line, since that is what a search for the failures finds, and without the stack. */
function shorten(message: string): string {
  const [what = ""] = stripVTControlCharacters(message).split(/\n +at /);
  const words = what.replaceAll(/\s+/g, " ").trim();
  return words.length > MOST_CHARACTERS ? `${words.slice(0, MOST_CHARACTERS)}…` : words;
}

/** A line for each group of tests that was left out, which by its title says why; none where all ran. */
export function formatSkipped(reports: readonly string[]): readonly string[] {
  const titles = readReports(reports)
    .flatMap(({ testResults }) => testResults.flatMap(({ assertionResults }) => assertionResults))
    .filter(({ status }) => status === "pending" || status === "skipped" || status === "todo")
    .map(({ ancestorTitles }) => ancestorTitles[0] ?? "a test");
  const groups = Map.groupBy(titles, (title) => title);
  return [...groups].map(([title, all]) => `skipped: ${all.length} tests ${title}`);
}

/** One line, such as `12 passed, 0 failed, 1 skipped`; a run that left no report is not counted. */
export function formatTotals(reports: readonly string[]): string {
  const found = readReports(reports);
  const sum = (count: (report: Report) => number) => found.map(count).reduce((a, b) => a + b, 0);
  const skipped = sum((report) => report.numPendingTests + report.numTodoTests);
  const counted = `${sum((report) => report.numPassedTests)} passed, ${sum((report) => report.numFailedTests)} failed`;
  return skipped > 0 ? `${counted}, ${skipped} skipped` : counted;
}

function readReports(reports: readonly string[]): readonly Report[] {
  return reports
    .filter((file) => existsSync(file))
    .map((file) => JSON.parse(readFileSync(file, "utf8")) as Report);
}
