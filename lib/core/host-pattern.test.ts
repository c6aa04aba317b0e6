import { describe, expect, it } from "vitest";
import { fitsHost, HOST_PATTERN, isLoopbackHost } from "./host-pattern.ts";

describe("fitsHost()", () => {
  it.each([
    ["*", "anything:5000", true],
    ["r.example", "r.example", true],
    ["r.example", "R.example", true],
    ["r.example", "r.example:5000", false],
    ["r.example:5000", "r.example:5000", true],
    ["*.example", "r.example", true],
    ["*.example", "a.r.example", false],
    ["*.example", "example", false],
    ["*.example:5000", "r.example:5000", true],
    ["*.example", "r.example.evil", false],
    ["docker.io", "index.docker.io", true],
    ["registry-1.docker.io", "docker.io", true],
    ["[::1]:5000", "[::1]:5000", true],
  ])("%s means %s: %s", (pattern, host, expected) => {
    expect(HOST_PATTERN.test(pattern)).toBe(true);
    expect(fitsHost(pattern, host)).toBe(expected);
  });
});

describe("HOST_PATTERN", () => {
  it.each([
    "",
    "r*.example",
    "https://r.example",
    "r.example/team",
    "*.*.example",
    "r.example:x",
    ".example",
  ])("refuses %j", (pattern) => {
    expect(HOST_PATTERN.test(pattern)).toBe(false);
  });
});

describe("isLoopbackHost()", () => {
  it.each([
    ["localhost", true],
    ["LOCALHOST:5000", true],
    ["127.0.0.1:5000", true],
    ["127.1.2.3", true],
    ["[::1]:5000", true],
    ["127.0.0.1.example", false],
    ["localhost.example", false],
    ["r.example:127", false],
  ])("of %s is %s", (host, expected) => {
    expect(isLoopbackHost(host)).toBe(expected);
  });
});
