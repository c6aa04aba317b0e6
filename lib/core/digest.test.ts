import { describe, expect, it } from "vitest";
import { digestOf, hexOf, parseDigest } from "./digest.ts";
import { isFailure } from "./failure.ts";

describe("parseDigest()", () => {
  it("takes what digestOf() makes", () => {
    const digest = digestOf("larder");
    expect(parseDigest(digest)).toBe(digest);
    expect(hexOf(digest)).toMatch(/^[0-9a-f]{64}$/);
  });

  it.each([
    ["sha256:ABC", "invalid"],
    [`sha256:${"A".repeat(64)}`, "invalid"],
    ["sha512:00", "unsupported"],
    ["", "invalid"],
  ] as const)("refuses %j as %s", (text, reason) => {
    expect(() => parseDigest(text)).toThrow(expect.toSatisfy((error) => isFailure(error, reason)));
  });
});
