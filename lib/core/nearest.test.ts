import { describe, expect, it } from "vitest";
import { nearestName } from "./nearest.ts";

const known = ["reference", "pull-policy", "media-types", "platform", "size", "uid"];

describe("nearestName()", () => {
  it.each([
    ["refrence", "reference"],
    ["Reference", "reference"],
    ["pullPolicy", "pull-policy"],
    ["mediatype", "media-types"],
    ["siez", "size"],
    ["something-else-entirely", undefined],
    ["x".repeat(100_000), undefined],
    ["", "uid"],
  ])("takes %.20s for %s", (name, expected) => {
    expect(nearestName(name === "" ? "ui" : name, known)).toBe(expected);
  });

  it("has nothing to say where nothing is known", () => {
    expect(nearestName("a", [])).toBeUndefined();
  });
});
