import { describe, expect, it } from "vitest";
import { parseTitle, refuseConflicts } from "./title.ts";

describe("parseTitle()", () => {
  it.each([
    ["a", "a"],
    ["./a//b/./c", "a/b/c"],
    ["..a/b..", "..a/b.."],
    [" ", " "],
    ["a\nb", "a\nb"],
    ["a\\b", "a\\b"],
    ["ä/ø", "ä/ø"],
  ])("reads the file %j as %j", (title, path) => {
    expect(parseTitle(title, "file")).toBe(path);
  });

  it.each([
    [".", ""],
    ["./", ""],
    ["a/", "a"],
  ])("reads the directory %j as %j", (title, path) => {
    expect(parseTitle(title, "directory")).toBe(path);
  });

  it.each([
    ["", "empty"],
    ["/etc/passwd", "absolute"],
    ["..", '".."'],
    ["a/../../b", '".."'],
    ["a\0b", "NUL"],
    ["\ud800", "Unicode"],
    [".", "a name of its own"],
    ["./.", "a name of its own"],
    ["a/", "directory"],
    ["a/.", "directory"],
    ["ä".repeat(128), "longer than 255"],
    [Array(2048).fill("ab").join("/"), "longer than 4095"],
  ])("refuses the file %j, quoting it", (title, why) => {
    expect(() => parseTitle(title, "file")).toThrow(why);
    expect(() => parseTitle(title, "file")).toThrow(
      `the title ${JSON.stringify(title).slice(0, 60).replace(/"$/, "")}`,
    );
  });

  it.each(["", "..", "/", "a/..", "\0"])("refuses the directory %j", (title) => {
    expect(() => parseTitle(title, "directory")).toThrow("Cannot use the title");
  });
});

describe("refuseConflicts()", () => {
  it.each([
    [["a", "a"], [], 'two layers with the title "a"'],
    [["a"], ["a"], 'two layers with the title "a"'],
    [[], ["", ""], 'two layers with the title "."'],
    [["a/b", "a"], [], 'the title "a/b": the title "a" is a file'],
    [["a"], ["a/b/c"], 'the title "a/b/c": the title "a" is a file'],
  ])("refuses the files %j beside the directories %j", (files, directories, why) => {
    expect(() => refuseConflicts(files, directories)).toThrow(why);
  });

  it("lets files and directories lie in directories", () => {
    expect(() => refuseConflicts(["a/b", "a/c/d", "ab"], ["a", "a/c", ""])).not.toThrow();
  });
});
