import { describe, expect, it } from "vitest";
import { parseChallenges } from "./challenge.ts";

const plain = (header: string) =>
  parseChallenges(header).map(({ scheme, parameters }) => [scheme, Object.fromEntries(parameters)]);

describe("parseChallenges()", () => {
  it.each([
    [
      'Bearer realm="https://auth.example/token",service="r.example",scope="repository:a/b:pull,push"',
      [
        [
          "bearer",
          { realm: "https://auth.example/token", service: "r.example", scope: "repository:a/b:pull,push" },
        ],
      ],
    ],
    ['Basic realm="a \\"quoted\\" one"', [["basic", { realm: 'a "quoted" one' }]]],
    [
      'Negotiate, Basic realm="x", bearer realm=https://t/ , service = "s"',
      [
        ["negotiate", {}],
        ["basic", { realm: "x" }],
        ["bearer", { realm: "https://t/", service: "s" }],
      ],
    ],
    ['Bearer REALM="a",realm="b"', [["bearer", { realm: "a" }]]],
    ["", []],
    [' ,, "', []],
    [
      'Bearer realm="never closed',
      [
        ["bearer", {}],
        ["realm", {}],
        ["never", {}],
        ["closed", {}],
      ],
    ],
  ])("reads %j", (header, expected) => {
    expect(plain(header)).toEqual(expected);
  });

  it("ends on any bytes", () => {
    expect(parseChallenges('\u0000=\\"\u00ff'.repeat(5_000)).length).toBeLessThan(30_000);
  });
});
