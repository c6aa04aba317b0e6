import { describe, expect, it } from "vitest";
import { bytesOf, formatBytes, parseAmount, parseBytes, parseDuration } from "./quantity.ts";

describe("parseBytes()", () => {
  it.each([
    ["0", 0],
    ["512", 512],
    ["1k", 1000],
    ["1Ki", 1024],
    ["500M", 500_000_000],
    ["1Gi", 2 ** 30],
    ["1.5Gi", 1.5 * 2 ** 30],
    ["2Ti", 2 ** 41],
    ["0.3Ki", 308],
  ])("reads %s as %i", (text, bytes) => {
    expect(parseBytes(text)).toBe(bytes);
  });

  it.each(["", "1GB", "1K", "1g", "-1", "1e3", "100m", "1 Gi", ".5Gi", "1i", "9999Pi", "75%"])(
    "refuses %j",
    (text) => {
      expect(() => parseBytes(text)).toThrow(`Cannot read the size "${text}"`);
    },
  );
});

describe("parseAmount()", () => {
  it("reads shares, and bytes of a whole", () => {
    expect(bytesOf(parseAmount("75%"), 1000)).toBe(750);
    expect(bytesOf(parseAmount("0.5%"), 1001)).toBe(5);
    expect(bytesOf(parseAmount("1Ki"), 1000)).toBe(1024);
  });

  it.each(["101%", "%", "-1%", "x%"])("refuses %j", (text) => {
    expect(() => parseAmount(text)).toThrow(`"${text}"`);
  });
});

describe("parseDuration()", () => {
  it.each([
    ["0", 0],
    ["500ms", 500],
    ["30s", 30_000],
    ["5m", 300_000],
    ["1h30m", 5_400_000],
    ["1.5h", 5_400_000],
    ["7d", 604_800_000],
  ])("reads %s as %i ms", (text, ms) => {
    expect(parseDuration(text)).toBe(ms);
  });

  it.each(["", "5", "5 m", "-5m", "5M", "1.2.3s", "m"])("refuses %j", (text) => {
    expect(() => parseDuration(text)).toThrow(`Cannot read the time "${text}"`);
  });
});

describe("formatBytes()", () => {
  it.each([
    [0, "0 B"],
    [999, "999 B"],
    [1536, "1.5 KiB"],
    [5 * 2 ** 20, "5 MiB"],
    [123.4 * 2 ** 30, "123 GiB"],
    [2 ** 60, "1024 PiB"],
  ])("writes %i as %s", (bytes, text) => {
    expect(formatBytes(bytes)).toBe(text);
  });
});
