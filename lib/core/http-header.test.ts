import { describe, expect, it } from "vitest";
import { isBearerToken, isSendable } from "./http-header.ts";

describe("isSendable()", () => {
  it.each([
    ["x-team", "a, b"],
    ["Authorization", "Basic abc="],
    ["x-empty", ""],
    ["x-latin", "Gr\u00fc\u00dfe\t1"],
  ])("takes %s: %j", (name, text) => expect(isSendable(name, text)).toBe(true));

  it.each([
    ["x team", "a"],
    ["", "a"],
    ["x:y", "a"],
    ["x-lines", "a\r\nb: c"],
    ["x-nul", "a\0"],
    ["x-snow", "\u2603"],
    ["Transfer-Encoding", "chunked"],
    ["expect", "100-continue"],
    ["upgrade", "h2c"],
    ["keep-alive", "timeout=5"],
  ])("refuses %j: %j", (name, text) => expect(isSendable(name, text)).toBe(false));
});

describe("isBearerToken()", () => {
  it("takes what fits into a header as one word", () => {
    expect(isBearerToken("eyJ0.abc-_~+/=")).toBe(true);
    expect(["", "a b", "a\nb", "\u00fc"].some(isBearerToken)).toBe(false);
  });
});
