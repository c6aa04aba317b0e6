import { describe, expect, it } from "vitest";
import { storyOf } from "./story.ts";

describe("storyOf()", () => {
  it("tells the stack, and then those of its causes, down to the first", () => {
    const root = new TypeError("the root");
    const story = storyOf(new Error("outer", { cause: new Error("middle", { cause: root }) }));
    expect(story.map((stack) => stack.split("\n")[0])).toEqual([
      "Error: outer",
      "Error: middle",
      "TypeError: the root",
    ]);
    expect(story.at(-1)).toContain("story.test.ts");
  });

  it("tells what a disposal suppressed before what it met, and all of what came together", () => {
    const suppressed = new SuppressedError(new Error("the disposal"), new Error("the work"), "both");
    const story = storyOf(new AggregateError([suppressed, new Error("other")], "all"));
    expect(story.map((stack) => stack.split("\n")[0])).toEqual([
      "AggregateError: all",
      "SuppressedError: both",
      "Error: other",
      "Error: the work",
      "Error: the disposal",
    ]);
  });

  it("tells the kernel's words, and no other fields", () => {
    const error = Object.assign(new Error("EINVAL: fsmount"), { detail: "bad layer", request: "hush" });
    const [told = ""] = storyOf(error);
    expect(told).toMatch(/^Error: EINVAL: fsmount\n[\s\S]*\n\(bad layer\)$/);
    expect(told).not.toContain("hush");
  });

  it("tells what is no error, and ends where causes go round", () => {
    expect(storyOf(undefined)).toEqual(["thrown: undefined"]);
    expect(storyOf(Object.create(null))).toEqual(["thrown: [Object: null prototype] {}"]);
    expect(storyOf({ inner: { deep: "hush" } })[0]).not.toContain("hush");
    const round = new Error("round");
    round.cause = round;
    expect(storyOf(round).length).toBeLessThan(20);
  });
});
