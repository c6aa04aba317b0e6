import { describe, expect, it } from "vitest";
import { digestOf } from "./digest.ts";
import { type TreeSelection, treeKey } from "./layer-id.ts";
import { parsePlatform } from "./platform.ts";

const base: TreeSelection = { digest: digestOf("m"), layout: "overlay" };

describe("treeKey()", () => {
  it("is the same for the same selection, however it is written", () => {
    expect(treeKey({ ...base, mediaTypes: ["a", "b", "a"] })).toBe(
      treeKey({ ...base, mediaTypes: ["b", "a"] }),
    );
    expect(treeKey({ ...base, mediaTypes: [], keepSetuid: false })).toBe(treeKey(base));
    expect(treeKey({ ...base, platform: { os: "linux", architecture: "aarch64" } })).toBe(
      treeKey({ ...base, platform: parsePlatform("linux/arm64/v8") }),
    );
  });

  it("differs with everything that changes what is mounted", () => {
    const selections: readonly TreeSelection[] = [
      base,
      { ...base, digest: digestOf("n") },
      { ...base, platform: parsePlatform("linux/amd64") },
      { ...base, mediaTypes: ["a"] },
      { ...base, mediaTypes: ["a,b"] },
      { ...base, mediaTypes: ["a", "b"] },
      { ...base, layout: "copy" },
      { ...base, keepSetuid: true },
    ];
    expect(new Set(selections.map(treeKey)).size).toBe(selections.length);
  });
});
