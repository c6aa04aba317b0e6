import { describe, expect, it } from "vitest";
import {
  compareVersions,
  keyOfTag,
  keyTag,
  parseKey,
  parseVersionTag,
  type Version,
  versionsByPrefix,
  versionsOfKey,
  versionTag,
} from "./cache-key.ts";
import { isFailure } from "./failure.ts";

const TAG = /^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$/;
const at = (timeMs: number, id = "a1"): Version => ({ timeMs: 1.7e12 + timeMs, id });
const keys = [
  "latest",
  "npm-linux-x64",
  "v1.2",
  "-a",
  "_",
  "a_b",
  "A",
  "a/b@c d",
  "größe-ж-💾",
  "..",
  "\u{7f}",
  "0",
];
const long = `npm-${"feature/".repeat(12)}`;

describe("keyTag()", () => {
  it.each(keys)("makes %j a tag that keyOfTag() reads back", (key) => {
    expect(keyTag(key)).toMatch(TAG);
    expect(keyTag(key)).not.toContain(".");
    expect(keyOfTag(keyTag(key))).toBe(key);
  });

  it("leaves ordinary keys as they are, and gives no two keys one tag", () => {
    expect(keyTag("npm-linux-x64")).toBe("npm-linux-x64");
    expect(keyTag("v1.2_x")).toBe("v1_2e2_5fx");
    expect(new Set([...keys, "a_2e", "a.", long, `${long}x`].map(keyTag)).size).toBe(keys.length + 4);
  });

  it("keeps a prefix a prefix, whatever it is made of", () => {
    const texts = [...keys, "a", "a/", "größ", "v1.", "v1", "💾"];
    for (const one of texts) {
      for (const other of texts) expect(keyTag(one).startsWith(keyTag(other))).toBe(one.startsWith(other));
    }
  });

  it("cuts what is longer than 90 characters, never within an escape, and ends it in a hash", () => {
    expect(keyTag("a".repeat(90))).toBe("a".repeat(90));
    expect(keyTag("a".repeat(91))).toMatch(/^a{80}__[0-9a-f]{16}$/);
    for (const lead of ["", "a", "aa"]) {
      const tag = keyTag(`${lead}${"ä".repeat(256)}`);
      expect(tag).toMatch(/^a{0,2}(?:_[0-9a-f]{2})+__[0-9a-f]{16}$/);
      expect(tag).toMatch(TAG);
      expect(keyOfTag(tag)).toBeUndefined();
    }
  });
});

describe("keyOfTag()", () => {
  it.each(["_61", "a_2", "a_2D", "-a", "", "a.b", "_ff", "a_", "v1_2E"])("knows no key of %j", (tag) => {
    expect(keyOfTag(tag)).toBeUndefined();
  });
});

describe("parseKey()", () => {
  it.each(keys.filter((key) => key !== "\u{7f}"))("takes %j", (key) => {
    expect(parseKey(key)).toBe(key);
  });

  it.each(["", " a", "a ", "a,b", "a\nb", "\0", "\ud800", "x".repeat(513), " "])("refuses %j", (key) => {
    expect(() => parseKey(key)).toThrow(expect.toSatisfy((error) => isFailure(error, "invalid")));
  });
});

describe("versionTag()", () => {
  it.each([...keys, long, "ä".repeat(512)])("makes of %j a tag that parseVersionTag() reads back", (key) => {
    const version = at(7, "abcdef012345");
    const tag = versionTag(key, version);
    expect(tag).toMatch(TAG);
    expect(parseVersionTag(tag)).toEqual({ ...version, tag, keyTag: keyTag(key) });
  });
});

describe("parseVersionTag()", () => {
  it.each([
    "latest",
    "v1.2.3",
    "k.1700000000000",
    "k.01700000000000.a",
    "k.0700000000000.a",
    "k.17000000000000.a",
    "k.1700000000000.A",
    "k.1700000000000.",
    ".1700000000000.a",
    "k.l.1700000000000.a",
    "k.1700000000000.abcdef0123456",
    "k_.1700000000000.a",
    "k__0.1700000000000.a",
  ])("takes %j for no version", (tag) => {
    expect(parseVersionTag(tag)).toBeUndefined();
  });
});

describe("compareVersions()", () => {
  it("goes by time, then by id", () => {
    expect(compareVersions(at(1, "b"), at(2, "a"))).toBeLessThan(0);
    expect(compareVersions(at(2, "b"), at(2, "a"))).toBeGreaterThan(0);
    expect(compareVersions(at(2, "b"), at(2, "b"))).toBe(0);
  });
});

describe("versionsByPrefix()", () => {
  const tags = [
    versionTag("npm-a", at(1)),
    versionTag("npm-b", at(3)),
    versionTag("npm", at(9)),
    versionTag("npm.a", at(8)),
    versionTag("npm-c", at(3, "b2")),
    versionTag("NPM-d", at(10)),
    "latest",
    "npm-a",
    "npm-x.1.2",
  ];
  const found = (prefix: string) => versionsByPrefix(tags, prefix).map(({ tag }) => tag);

  it("finds those whose key begins so, the newest first", () => {
    expect(found("npm-")).toEqual([
      versionTag("npm-c", at(3, "b2")),
      versionTag("npm-b", at(3)),
      versionTag("npm-a", at(1)),
    ]);
    expect(found("npm.")).toEqual([versionTag("npm.a", at(8))]);
    expect(found("go-")).toEqual([]);
  });

  it("finds a long key by what its tag shows of it, and is unsure beyond", () => {
    const tag = versionTag(long, at(1));
    const sureOf = (prefix: string) => versionsByPrefix([tag], prefix).map(({ isSure }) => isSure);
    expect(sureOf("npm-")).toEqual([true]);
    expect(sureOf(long.slice(0, 50))).toEqual([true]);
    expect(sureOf(long)).toEqual([false]);
    expect(sureOf(`x${long}`)).toEqual([]);
    expect(versionsByPrefix([versionTag("a".repeat(85), at(1))], "a".repeat(86))).toEqual([]);
  });
});

describe("versionsOfKey()", () => {
  it("finds those of the very key, long or not, the newest first", () => {
    const tags = ["a", "ab", "a.", long, `${long}x`].flatMap((key) => [
      versionTag(key, at(1)),
      versionTag(key, at(2)),
    ]);
    expect(versionsOfKey(tags, "a").map(({ tag }) => tag)).toEqual([
      versionTag("a", at(2)),
      versionTag("a", at(1)),
    ]);
    expect(versionsOfKey(tags, long).map(({ timeMs }) => timeMs - 1.7e12)).toEqual([2, 1]);
    expect(versionsOfKey(tags, "")).toEqual([]);
  });
});
