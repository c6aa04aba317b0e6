import { describe, expect, it } from "vitest";
import { decodePath, encodePath } from "./path-bytes.ts";

const bytes = (...values: number[]) => Uint8Array.from(values);

describe("decodePath()", () => {
  it.each([
    ["plain text", Buffer.from("/a/é/日本/😀")],
    ["a byte that is no UTF-8", bytes(0x61, 0xff, 0x62)],
    ["a sequence cut by the end", bytes(0x61, 0xe2, 0x82)],
    ["a sequence cut by a letter", bytes(0xe2, 0x28, 0xa1)],
    ["an overlong slash", bytes(0xc0, 0xaf)],
    ["an encoded surrogate", bytes(0xed, 0xb2, 0x80)],
    ["a byte order mark", bytes(0xef, 0xbb, 0xbf, 0x61)],
    ["mixed with what is whole", Buffer.concat([bytes(0x80), Buffer.from("é😀"), bytes(0xf5)])],
  ])("carries %s there and back", (_, path) => {
    expect(Buffer.from(encodePath(decodePath(path)))).toEqual(Buffer.from(path));
  });

  it("never makes two different names equal", () => {
    const replacement = decodePath(Buffer.from("\uFFFD"));
    expect(decodePath(bytes(0xff))).not.toBe(replacement);
    expect(decodePath(bytes(0xfe))).not.toBe(decodePath(bytes(0xff)));
    expect(replacement).toBe("\uFFFD");
  });
});
