import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { formatFailed, formatSkipped, formatTotals } from "./totals.ts";

describe("what became of the tests", () => {
  let folder: string;
  let report: string;
  beforeEach(() => {
    folder = mkdtempSync(path.join(os.tmpdir(), "larder-totals-"));
    report = path.join(folder, "report.json");
    const assertion = (status: string, failureMessages: readonly string[] = []) => {
      return {
        status,
        ancestorTitles: ["quotas (none here)"],
        fullName: `quotas are ${status}`,
        failureMessages,
      };
    };
    const red = "\u001b[31m1\u001b[39m";
    const failed = assertion("failed", [`expected ${red}\nto be 2\n    at file:///somewhere:1:2`]);
    const testResults = [
      { name: "a.test.ts", status: "failed", message: "", assertionResults: [assertion("passed"), failed] },
      { name: "b.test.ts", status: "failed", message: "Cannot find module", assertionResults: [] },
      { name: "c.test.ts", status: "passed", message: "", assertionResults: [assertion("pending")] },
    ];
    const counts = { numPassedTests: 1, numFailedTests: 1, numPendingTests: 1, numTodoTests: 0 };
    writeFileSync(report, JSON.stringify({ ...counts, testResults }));
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  it("formatFailed() names each test and each file that failed, in a line without colours and stack", () => {
    expect(formatFailed([report])).toEqual([
      "failed: quotas are failed: expected 1 to be 2",
      "failed: b.test.ts: Cannot find module",
    ]);
  });

  it("formatSkipped() names each group with its number", () => {
    expect(formatSkipped([report])).toEqual(["skipped: 1 tests quotas (none here)"]);
  });

  it("formatTotals() sums over the reports that are there", () => {
    expect(formatTotals([report, report, path.join(folder, "none.json")])).toBe(
      "2 passed, 2 failed, 2 skipped",
    );
  });
});
