import { describe, expect, it } from "vitest";
import { isFailure } from "./failure.ts";
import { giveToGroup, isForGroup, type Owned, parseGroup, takeFromGroup } from "./volume-group.ts";

const file = (gid: number, mode: number): Owned => ({ isDirectory: false, gid, mode });
const directory = (gid: number, mode: number): Owned => ({ isDirectory: true, gid, mode });

describe("parseGroup()", () => {
  it.each([
    ["", undefined],
    ["0", 0],
    ["1000", 1000],
    ["4294967294", 4294967294],
  ])("reads %j", (text, gid) => {
    expect(parseGroup(text)).toBe(gid);
  });

  it.each(["4294967295", "-1", "1e3", " 1", "staff", "99999999999"])("refuses %j, and names it", (text) => {
    expect(() => parseGroup(text)).toThrow(
      expect.toSatisfy((error) => isFailure(error, "invalid") && (error as Error).message.includes(text)),
    );
  });
});

describe("giveToGroup()", () => {
  it.each([
    ["a file", file(0, 0o644), file(7, 0o664)],
    ["a file only its owner may read", file(5, 0o400), file(7, 0o660)],
    ["a program with set-user-id", file(0, 0o4755), file(7, 0o4775)],
    ["a directory", directory(0, 0o755), directory(7, 0o2775)],
    ["a sticky directory", directory(0, 0o1777), directory(7, 0o3777)],
  ])("changes %s as the kubelet would", (_what, before, after) => {
    expect(giveToGroup(before, 7)).toEqual(after);
  });
});

describe("isForGroup()", () => {
  it.each([
    [directory(7, 0o2775), true],
    [directory(7, 0o2770), true],
    [directory(7, 0o775), false],
    [directory(7, 0o2755), false],
    [directory(8, 0o2775), false],
  ])("tells of the root %j: %s", (root, answer) => {
    expect(isForGroup(root, 7)).toBe(answer);
  });
});

describe("takeFromGroup()", () => {
  const group = { gid: 7, root: directory(3, 0o755) };

  it.each([
    ["a file", file(0, 0o644)],
    ["a file of another group", file(5, 0o400)],
    ["a file that was of the group before", file(7, 0o600)],
    ["a directory", directory(0, 0o755)],
    ["a directory that had the set-group-id bit", directory(4, 0o2755)],
  ])("gives back %s of the base as it was", (_what, below) => {
    const given = giveToGroup(below, 7);
    expect(takeFromGroup(given, below, group)).toEqual(below);
  });

  it.each([
    ["takes bits away", file(0, 0o644), file(7, 0o660), file(0, 0o640)],
    ["makes it a program", file(0, 0o644), file(7, 0o775), file(0, 0o755)],
    ["gives it to somebody else", file(0, 0o644), file(9, 0o664), file(9, 0o664)],
  ])("keeps what a pod changed of it: %s", (_what, below, left, expected) => {
    expect(takeFromGroup(left, below, group)).toEqual(expected);
  });

  it("gives what pods made to the root's group, without the bit that it inherited", () => {
    expect(takeFromGroup(file(7, 0o640), undefined, group)).toEqual(file(3, 0o640));
    expect(takeFromGroup(directory(7, 0o2750), undefined, group)).toEqual(directory(3, 0o750));
    expect(takeFromGroup(directory(7, 0o2750), file(0, 0o644), group)).toEqual(directory(3, 0o750));
    const inheriting = { gid: 7, root: directory(3, 0o2755) };
    expect(takeFromGroup(directory(7, 0o2750), undefined, inheriting)).toEqual(directory(3, 0o2750));
  });

  it("is the same when it is repeated, and whichever group it was", () => {
    const bases = [undefined, file(0, 0o640), file(7, 0o400), directory(7, 0o700), directory(0, 0o3777)];
    for (const below of bases) {
      const made = below ?? directory(0, 0o755);
      const once = takeFromGroup(giveToGroup(made, 7), below, group);
      expect(takeFromGroup(once, below, group)).toEqual(once);
      expect(takeFromGroup(giveToGroup(made, 8), below, { ...group, gid: 8 })).toEqual(once);
    }
  });
});
