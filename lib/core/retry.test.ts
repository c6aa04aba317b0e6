import { describe, expect, it } from "vitest";
import { parseRetryAfter, planRetry, RETRY_LIMIT_MS } from "./retry.ts";

describe("planRetry()", () => {
  it("waits twice as long each time, up to a cap", () => {
    const waits = [1, 2, 3, 7, 8, 100].map((attempt) => planRetry({ attempt, elapsedMs: 0, random: 1 }));
    expect(waits).toEqual([200, 400, 800, 12_800, 15_000, 15_000]);
  });

  it("spreads over half of the wait", () => {
    expect(planRetry({ attempt: 3, elapsedMs: 0, random: 0 })).toBe(400);
    expect(planRetry({ attempt: 3, elapsedMs: 0, random: 0.5 })).toBe(600);
  });

  it("never undercuts Retry-After", () => {
    expect(planRetry({ attempt: 1, elapsedMs: 0, retryAfterMs: 30_000, random: 0 })).toBe(30_000);
    expect(planRetry({ attempt: 1, elapsedMs: 0, retryAfterMs: 30_000, random: 0.5 })).toBe(31_500);
    expect(planRetry({ attempt: 1, elapsedMs: 0, retryAfterMs: 0, random: 1 })).toBe(200);
  });

  it("gives up after two minutes in all", () => {
    expect(planRetry({ attempt: 9, elapsedMs: RETRY_LIMIT_MS - 15_000, random: 1 })).toBe(15_000);
    expect(planRetry({ attempt: 9, elapsedMs: RETRY_LIMIT_MS - 14_999, random: 1 })).toBeUndefined();
    expect(planRetry({ attempt: 1, elapsedMs: 0, retryAfterMs: 3_600_000, random: 0 })).toBeUndefined();
  });

  it("ends, whatever the luck", () => {
    for (const random of [0, 0.5, 0.999]) {
      let elapsedMs = 0;
      let attempt = 1;
      for (let wait: number | undefined = 0; wait !== undefined; attempt++) {
        elapsedMs += wait;
        wait = planRetry({ attempt, elapsedMs, random });
      }
      expect(elapsedMs).toBeLessThanOrEqual(RETRY_LIMIT_MS);
      expect(attempt).toBeLessThan(30);
    }
  });
});

describe("parseRetryAfter()", () => {
  const now = Date.parse("2026-11-21T08:00:00Z");

  it.each([
    ["0", 0],
    ["120", 120_000],
    [" 5 ", 5000],
    ["Sat, 21 Nov 2026 08:00:30 GMT", 30_000],
    ["Saturday, 21-Nov-26 08:01:00 GMT", 60_000],
    ["Sat, 21 Nov 2026 07:00:00 GMT", 0],
    ["", undefined],
    ["-1", undefined],
    ["1.5", undefined],
    ["soon", undefined],
    ["Sat, 99 Nov 2026 08:00:30 GMT", undefined],
  ])("reads %j as %s ms", (header, expected) => {
    expect(parseRetryAfter(header, now)).toBe(expected);
  });
});
