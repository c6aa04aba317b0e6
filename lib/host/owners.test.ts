import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { parseGroups, resolveGroup } from "./owners.ts";

describe("parseGroups()", () => {
  it("reads names and numbers, the first of a name", () => {
    expect([...parseGroups("root:x:0:\nlarder:x:1234:a,b\nlarder:x:1:\n")]).toEqual([
      ["root", 0],
      ["larder", 1234],
    ]);
  });

  it.each([
    "",
    "root",
    "root:x",
    "root:x::",
    "root:x:abc:",
    "root:x:-1:",
    ":x:1:",
    "+::1x:",
    "root:x:4294967295:",
  ])("leaves out the line %j", (line) => {
    expect(parseGroups(`${line}\ngood:x:5:`)).toEqual(new Map([["good", 5]]));
  });
});

describe("resolveGroup()", () => {
  let folder: string;
  let file: string;
  beforeEach(() => {
    folder = mkdtempSync(path.join(os.tmpdir(), "larder-groups-"));
    file = path.join(folder, "group");
    writeFileSync(file, "root:x:0:\nlarder:x:1234:\n");
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  it("answers a name's number, and a number as it is", () => {
    expect(resolveGroup("larder", file)).toBe(1234);
    expect(resolveGroup("77", file)).toBe(77);
    expect(resolveGroup("0", path.join(folder, "none"))).toBe(0);
    expect(resolveGroup("root")).toBe(0);
  });

  it("refuses a name that is not there, with what would help", () => {
    for (const from of [file, path.join(folder, "none")])
      expect(() => resolveGroup("nobody-here", from)).toThrow(
        expect.objectContaining({
          reason: "not-found",
          message: expect.stringMatching(/"nobody-here".*number/),
        }),
      );
  });

  it.each(["4294967295", "99999999999999999999"])("refuses the number %s", (group) => {
    expect(() => resolveGroup(group, file)).toThrow(expect.objectContaining({ reason: "invalid" }));
  });
});
