import { describe, expect, it } from "vitest";
import { parseContentRange } from "./content-range.ts";

describe("parseContentRange()", () => {
  it.each([
    ["bytes 0-99/1000", { start: 0, end: 100, size: 1000 }],
    ["bytes 5-5/*", { start: 5, end: 6, size: undefined }],
    ["bytes 9-5/10", undefined],
    ["bytes */10", undefined],
    ["bytes 0-9999999999999999/10", undefined],
    ["items 0-1/2", undefined],
    ["", undefined],
  ])("reads %j", (header, expected) => {
    expect(parseContentRange(header)).toEqual(expected);
  });
});
