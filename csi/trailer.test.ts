import { describe, expect, it } from "vitest";
import { toTrailer } from "./trailer.ts";

const told = (...words: string[]) => toTrailer(words).get("larder-note");

describe("toTrailer()", () => {
  it("carries words as they are, and nothing where nothing is said", () => {
    expect(told('It has the key "main"', "and more")).toEqual(['It has the key "main"', "and more"]);
    expect(told()).toEqual([]);
  });

  it.each(["100 % über 💾", "a\nb\u0000c"])("carries %j so that it can be had back", (words) => {
    const [sent] = told(words);
    expect(sent).toMatch(/^[ -~]*$/);
    expect(decodeURIComponent(String(sent))).toBe(words);
  });

  it("carries half a character and what has no end, cut", () => {
    expect(decodeURIComponent(String(told("\ud800")[0]))).toBe("\ufffd");
    expect(Buffer.byteLength(String(told("\u{10ffff}".repeat(100_000))[0]))).toBeLessThan(16_384);
  });
});
