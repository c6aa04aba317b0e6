import { describe, expect, it } from "vitest";
import {
  formatPackProgress,
  formatProgress,
  formatPushProgress,
  type PullProgress,
  rateOf,
} from "./progress.ts";

const base: PullProgress = { artifact: "r.example/a:b", doneBytes: 0, sources: [] };
const upstream = { kind: "upstream", host: "r.example" } as const;
const mirror = { kind: "mirror", host: "m.example" } as const;

describe("formatProgress()", () => {
  it.each([
    [{}, "asking the registry what it is made of"],
    [{ totalBytes: 2048 }, "0 % (0 B of 2 KiB)"],
    [
      { trouble: "the registry r.example answered 503 for it" },
      "what it is made of; the registry r.example answered 503 for it, and is asked again",
    ],
    [
      { totalBytes: 2048, trouble: "the mirror m.example broke the connection off" },
      "(0 B of 2 KiB); the mirror m.example broke the connection off, and is asked again",
    ],
    [
      {
        totalBytes: 2 ** 30,
        doneBytes: 2 ** 29,
        bytesPerSecond: 2 ** 26,
        sources: [mirror, upstream, mirror],
      },
      "50 % (512 MiB of 1 GiB) at 64 MiB/s from the mirror m.example and r.example, about 8 s left",
    ],
    [{ totalBytes: 1000, doneBytes: 999, sources: [upstream] }, "99 % (999 B of 1000 B) from r.example"],
    [{ totalBytes: 2 ** 40, doneBytes: 0, bytesPerSecond: 2 ** 24 }, "about 19 h left"],
    [{ totalBytes: 2 ** 34, doneBytes: 0, bytesPerSecond: 2 ** 24 }, "about 18 min left"],
    [{ totalBytes: 1000, doneBytes: 1000 }, "all 1000 B are here, unpacking"],
    [{ totalBytes: 0, doneBytes: 0 }, "all 0 B are here, unpacking"],
  ] as ReadonlyArray<readonly [Partial<PullProgress>, string]>)("says of %j: %s", (progress, words) => {
    expect(formatProgress({ ...base, ...progress })).toContain(words);
    expect(formatProgress({ ...base, ...progress })).toMatch(/^Pulling r\.example\/a:b: /);
  });
});

describe("rateOf()", () => {
  it("counts the last seconds only", () => {
    const samples = [
      { atMs: 0, bytes: 0 },
      { atMs: 95_000, bytes: 1000 },
      { atMs: 100_000, bytes: 6000 },
    ];
    expect(rateOf(samples, 100_000)).toBe(1000);
    expect(rateOf(samples, 105_000)).toBe(500);
  });

  it("falls to nothing when nothing comes any more", () => {
    expect(rateOf([{ atMs: 0, bytes: 5000 }], 9000)).toBe(0);
    expect(rateOf([{ atMs: 0, bytes: 5000 }], 20_000)).toBeUndefined();
  });

  it("does not tell from too little, nor below nothing", () => {
    expect(rateOf([], 5)).toBeUndefined();
    expect(rateOf([{ atMs: 0, bytes: 1 }], 50)).toBeUndefined();
    expect(
      rateOf(
        [
          { atMs: 0, bytes: 500 },
          { atMs: 1000, bytes: 100 },
        ],
        1000,
      ),
    ).toBe(0);
  });
});

describe("formatPackProgress()", () => {
  const what = 'what changed in the volume "x"';

  it.each([
    [{}, ""],
    [{ entries: 7 }, ": 7 entries, 0 B to be sent"],
    [
      { entries: 3200, totalEntries: 8500, bytes: 12 << 20 },
      ": 3200 of 8500 entries (37 %), 12 MiB to be sent",
    ],
    // Names that only the base has come on top.
    [{ entries: 9, totalEntries: 8 }, ": 9 of 9 entries (100 %), 0 B to be sent"],
  ])("says of %j what is known", (progress, words) => {
    expect(formatPackProgress({ what, ...progress })).toBe(`Packing ${what}${words}`);
  });
});

describe("formatPushProgress()", () => {
  it.each([
    [{}, "asking the registry what it has of its base"],
    [{ totalBytes: 1000 }, "0 % (0 B of 1000 B)"],
    [
      { doneBytes: 500, totalBytes: 1000, bytesPerSecond: 100 },
      "50 % (500 B of 1000 B) at 100 B/s, about 5 s left",
    ],
    [{ doneBytes: 1000, totalBytes: 1000 }, "all 1000 B are sent, asking the registry for them again"],
  ])("says of %j", (progress, words) => {
    expect(formatPushProgress({ artifact: "r.example/a:b", doneBytes: 0, ...progress })).toBe(
      `Pushing r.example/a:b: ${words}`,
    );
  });
});
