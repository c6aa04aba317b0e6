import { describe, expect, it } from "vitest";
import { keyTag, versionTag } from "./cache-key.ts";
import { composeVersion, type VersionContent } from "./cache-manifest.ts";
import { contestKey, isRestorable, planPruning, restoreCandidates } from "./key-contest.ts";
import { parseManifest } from "./manifest.ts";

const KEY = "main/1";
const at = (time: number, id = "k3x9") => ({ timeMs: 1.7e12 + time, id });
const tag = (time: number, key = KEY) => versionTag(key, at(time));
const manifestOf = (change: Partial<VersionContent>) => {
  const platform = { os: "linux", architecture: "amd64" };
  const content = { key: KEY, version: at(5), bytes: 1, isKeyless: false, platform, layers: [] };
  const manifest = parseManifest(composeVersion({ ...content, ...change }).manifest.bytes);
  if (manifest.kind !== "manifest") throw new Error("an index");
  return manifest;
};

describe("contestKey()", () => {
  const contest = contestKey(KEY, at(5, "m"));

  it("finds the tags of newer versions of this key, the newest first", () => {
    const same = ["m", "z"].map((id) => versionTag(KEY, at(5, id)));
    const tags = [tag(4), tag(6), ...same, tag(9), tag(99, "other"), tag(99, `${KEY}x`), "latest"];
    expect(contest.tag).toBe(keyTag(KEY));
    expect(contest.newerTags(tags)).toEqual([tag(9), tag(6), same[1]]);
  });

  it.each([
    [true, "a later one", { version: at(6) }],
    [false, "an earlier one", { version: at(4) }],
    [false, "itself", { version: at(5, "m") }],
    [true, "one of the same moment and a larger id", { version: at(5, "z") }],
    [false, "one of another key", { version: at(6), key: "other" }],
    [false, "one that may not have a key", { version: at(6), isKeyless: true }],
  ] as ReadonlyArray<readonly [boolean, string, Partial<VersionContent>]>)(
    "says %s to %s",
    (isNewer, _, change) => {
      expect(contest.isNewer(manifestOf(change))).toBe(isNewer);
    },
  );

  it("is not impressed by others' artifacts", () => {
    expect(contest.isNewer({ ...manifestOf({ version: at(9) }), artifactType: "x/y" })).toBe(false);
  });
});

describe("restoreCandidates()", () => {
  it("goes through the restore keys in order, each from its newest version on", () => {
    const [a1, a2, b3] = [tag(1, "main-a"), tag(2, "main-a"), tag(3, "main-b")];
    const found = restoreCandidates([a1, tag(9, "x"), b3, a2, "x"], ["main-a", "main-b", "y"]);
    expect(found.map((one) => [one.tag, one.prefix])).toEqual([
      [a2, "main-a"],
      [a1, "main-a"],
      [b3, "main-b"],
    ]);
    expect(restoreCandidates([a1], [])).toEqual([]);
  });
});

describe("isRestorable()", () => {
  it("wants a version whose key really begins so, and that did not begin in trouble", () => {
    expect(isRestorable("main/", manifestOf({}))).toBe(true);
    expect(isRestorable("main/", manifestOf({ isKeyless: true }))).toBe(false);
    expect(isRestorable("main/", manifestOf({ key: "other" }))).toBe(false);
    expect(isRestorable("main/", { ...manifestOf({}), artifactType: "x/y" })).toBe(false);
  });
});

describe("planPruning()", () => {
  const tags = ["k", "other", tag(1, "k"), tag(3, "k"), tag(2, "k"), tag(9, "other"), tag(0, "k2")];
  const keeping = (versions: number, ...spared: string[]) => ({ versions, spared });

  it("dooms the oldest versions of this key, and nothing else", () => {
    expect(planPruning(tags, "k", keeping(2))).toEqual({
      doomed: [tag(1, "k")],
      kept: ["k", tag(3, "k"), tag(2, "k")],
    });
    expect(planPruning(tags, "k", keeping(5)).doomed).toEqual([]);
  });

  it("spares what was just pushed or overtaken, however many are newer", () => {
    expect(planPruning(tags, "k", keeping(1, tag(1, "k")))).toEqual({
      doomed: [tag(2, "k")],
      kept: ["k", tag(3, "k"), tag(1, "k")],
    });
  });

  it("keeps what people tagged by hand, since a manifest goes with all its tags", () => {
    expect(planPruning([...tags, "release-1"], "k", keeping(2)).kept).toEqual([
      "k",
      tag(3, "k"),
      tag(2, "k"),
      "release-1",
    ]);
  });

  it("keeps no tag that is not there", () => {
    expect(planPruning([tag(1), tag(2)], KEY, keeping(1))).toEqual({ doomed: [tag(1)], kept: [tag(2)] });
    expect(planPruning([], KEY, keeping(1))).toEqual({ doomed: [], kept: [] });
  });
});
