import { describe, expect, it } from "vitest";
import { mergeRanges, planRanges } from "./ranges.ts";

describe("planRanges()", () => {
  it("cuts at the multiples of the range, so that a second try asks for the same pieces", () => {
    expect(planRanges([{ start: 0, end: 25 }], 10)).toEqual([
      { start: 0, end: 10 },
      { start: 10, end: 20 },
      { start: 20, end: 25 },
    ]);
    expect(planRanges([{ start: 13, end: 25 }], 10)).toEqual([
      { start: 13, end: 20 },
      { start: 20, end: 25 },
    ]);
  });

  it("asks for each byte once, in order, whatever overlaps", () => {
    const ranges = planRanges(
      [
        { start: 12, end: 18 },
        { start: 0, end: 5 },
        { start: 3, end: 8 },
        { start: 8, end: 9 },
        { start: 30, end: 30 },
      ],
      10,
    );
    expect(ranges).toEqual([
      { start: 0, end: 9 },
      { start: 12, end: 18 },
    ]);
  });

  it("asks for nothing of what is whole", () => {
    expect(planRanges([], 10)).toEqual([]);
  });

  it("covers a blob of a terabyte exactly", () => {
    const size = 2 ** 40 + 1;
    const ranges = planRanges([{ start: 0, end: size }], 2 ** 24);
    expect(ranges.length).toBe(2 ** 16 + 1);
    expect(ranges.at(-1)).toEqual({ start: 2 ** 40, end: size });
  });
});

describe("mergeRanges()", () => {
  it("leaves what it is given as it is", () => {
    const given = [
      { start: 5, end: 6 },
      { start: 0, end: 5 },
    ];
    expect(mergeRanges(given)).toEqual([{ start: 0, end: 6 }]);
    expect(given[0]).toEqual({ start: 5, end: 6 });
  });
});
