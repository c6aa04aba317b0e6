import { describe, expect, it } from "vitest";
import type { ClaimRecord } from "./claim-record.ts";
import {
  commitClaim,
  deleteClaim,
  endPods,
  expandClaim,
  isThrownAway,
  letGoOfClaim,
  modifyClaim,
  noticeDown,
  publishClaim,
  seekBase,
  stageClaim,
  unpublishClaim,
  unstageClaim,
} from "./claim-steps.ts";
import { digestOf } from "./digest.ts";
import { isFailure, type Reason } from "./failure.ts";
import { committed, made, settings, used } from "./testing/claims.ts";

const empty = { layers: [], origin: "empty", isTainted: false } as const;
const stage = (boot: string) => ({ path: "/stage", boot });
const pod = (target: string) => ({ target, readOnly: false });
const staged = stageClaim(made, empty, stage("b1"));
const failing = (reason: Reason) => expect.toSatisfy((error) => isFailure(error, reason));

describe("seekBase()", () => {
  it("remembers the first time only, and nothing once the base is fixed", () => {
    expect(seekBase(seekBase(made, 5), 9).baseSoughtMs).toBe(5);
    expect(seekBase(used, 5)).toBe(used);
  });
});

describe("stageClaim()", () => {
  it("fixes the base the first time, and keeps what was noted of it", () => {
    const noted = { ...empty, note: "empty" };
    const first = stageClaim(made, noted, stage("b1"));
    expect(stageClaim(unstageClaim(first, "b1"), empty, stage("b1")).base).toBe(noted);
    expect(stageClaim(first, empty, stage("b1"))).toEqual(first);
  });

  it.each([
    ["another layer", [digestOf("a"), digestOf("x")]],
    ["one less", [digestOf("a")]],
    ["one more", [digestOf("a"), digestOf("b"), digestOf("c")]],
    ["another order", [digestOf("b"), digestOf("a")]],
    ["none", []],
  ])("never mounts it over another base: %s", (_, layers) => {
    const other = { ...empty, layers, origin: "head" } as const;
    expect(() => stageClaim(used, other, stage("b1"))).toThrow(failing("conflict"));
  });

  it("refuses one that is committed or let go", () => {
    const base = used.base ?? empty;
    expect(() => stageClaim(committed, base, stage("b1"))).toThrow(failing("busy"));
    expect(() => stageClaim(letGoOfClaim(used, "why"), base, stage("b1"))).toThrow(failing("busy"));
  });

  it("notices that the node went down with the stage before", () => {
    const again = stageClaim(publishClaim(staged, pod("/a")), empty, stage("b2"));
    expect(again).toMatchObject({
      stage: { boot: "b2" },
      publications: [],
      wentDown: { isUsedSince: false },
    });
    expect(stageClaim(unstageClaim(staged, "b1"), empty, stage("b2")).wentDown).toBeUndefined();
  });
});

describe("noticeDown()", () => {
  it("takes outcome, stage and publications of the boot before away, once", () => {
    const ended = endPods(publishClaim(staged, pod("/a")), "success");
    const down = noticeDown(ended, "b2");
    expect(down).toEqual({ ...made, base: empty, wentDown: { isUsedSince: false } });
    expect(noticeDown(down, "b3")).toBe(down);
    expect(noticeDown(ended, "b1")).toBe(ended);
  });

  it("takes nothing that was done for a group for done, once the node went down", () => {
    const group = { gid: 7, layers: [digestOf("g")], isApplied: true };
    const grouped = { ...staged, group };
    expect(noticeDown(grouped, "b1")).toBe(grouped);
    expect(noticeDown(grouped, "b2").group).toEqual({ ...group, isApplied: false });
    expect(noticeDown(staged, "b2").group).toBeUndefined();
  });
});

describe("publishClaim()", () => {
  it("forgets how earlier pods ended, but not when a call is repeated", () => {
    const ended = endPods(publishClaim(staged, pod("/a")), "success");
    expect(publishClaim(ended, pod("/a"))).toBe(ended);
    expect(publishClaim(ended, pod("/b")).outcome).toBeUndefined();
  });
});

describe("unpublishClaim()", () => {
  it("takes one target away, and may be repeated", () => {
    const two = publishClaim(publishClaim(staged, pod("/a")), pod("/b"));
    const one = unpublishClaim(two, "/a");
    expect(one.publications).toEqual([pod("/b")]);
    expect(unpublishClaim(one, "/a")).toEqual(one);
  });
});

describe("unstageClaim()", () => {
  it("ends the stage, and may be repeated", () => {
    const ended = endPods(publishClaim(staged, pod("/a")), "success");
    const { stage: _, ...rest } = ended;
    expect(unstageClaim(ended, "b1")).toEqual({ ...rest, publications: [] });
    expect(unstageClaim(unstageClaim(ended, "b1"), "b2")).toEqual({ ...rest, publications: [] });
  });

  it("does not take a node that went down for one that unmounted", () => {
    const down = unstageClaim(endPods(staged, "success"), "b2");
    expect(down).toMatchObject({ wentDown: { isUsedSince: false } });
    expect(down.outcome).toBeUndefined();
  });

  it("knows that nothing synced a volatile claim: a node that goes down later takes it along", () => {
    const volatile = { ...staged, settings: { ...settings, durability: "volatile" } } as const;
    const ended = unstageClaim(endPods(volatile, "success"), "b1");
    expect(noticeDown(ended, "b1")).toBe(ended);
    expect(unstageClaim(ended, "b1")).toEqual(ended);
    const down = noticeDown(ended, "b2");
    expect(down).toMatchObject({ wentDown: { isUsedSince: false } });
    expect([isThrownAway(down), down.outcome, down.unsynced]).toEqual([true, undefined, undefined]);
    expect(isThrownAway(stageClaim(ended, empty, stage("b1")))).toBe(false);
    expect(isThrownAway(stageClaim(ended, empty, stage("b2")))).toBe(true);
  });
});

describe("endPods()", () => {
  const down = noticeDown(staged, "b2");
  const again = publishClaim(stageClaim(down, empty, stage("b2")), pod("/a"));

  it("makes up for a node that went down only by a success of a pod that came after", () => {
    expect(endPods(down, "success").wentDown).toEqual({ isUsedSince: false });
    expect(endPods(again, "failure").wentDown).toEqual({ isUsedSince: true });
    expect(endPods(again, "success")).toMatchObject({ outcome: "success" });
    expect(endPods(again, "success").wentDown).toBeUndefined();
  });

  it("is not fooled when the node goes down again", () => {
    const twice = noticeDown(again, "b3");
    expect(endPods(twice, "success").wentDown).toEqual({ isUsedSince: false });
  });
});

describe("modifyClaim()", () => {
  it("changes what is said and leaves the rest", () => {
    const terms = { policy: "discard", pushDeadlineMs: 1 } as const;
    expect(modifyClaim(made, { terms })).toEqual({ ...made, terms: { ...made.terms, ...terms } });
    expect(modifyClaim(used, { terms: {}, outcome: "failure" })).toEqual({ ...used, outcome: "failure" });
  });
});

describe("expandClaim()", () => {
  it("raises size and files, and lowers neither", () => {
    expect(expandClaim(made, 2 ** 31)).toMatchObject({ bytes: 2 ** 31, inodes: 2 ** 19 });
    expect(expandClaim(made, 2 ** 20)).toBe(made);
    const fixed: ClaimRecord = { ...made, inodes: 9, settings: { ...settings, inodes: 9 } };
    expect(expandClaim(fixed, 2 ** 31)).toMatchObject({ bytes: 2 ** 31, inodes: 9 });
  });
});

describe("deleteClaim()", () => {
  it("remembers the first time only", () => {
    expect(deleteClaim(deleteClaim(used, 5), 9).deletedMs).toBe(5);
    const hour = 3_600_000;
    const tries = [1e12, 1e12 + hour, 1e12 + 3 * hour, 1e11, 1e11 + 7];
    const forMs = tries.reduce((record, ms) => deleteClaim(record, ms), used).tried?.forMs;
    expect(forMs).toBe(2 * hour + 7);
  });
});

describe("commitClaim()", () => {
  it("fixes time and layer, once", () => {
    const one = commitClaim(used, 1.72e12);
    expect(one.commit?.timeMs).toBe(1.72e12);
    expect(commitClaim(one, 1.73e12)).toBe(one);
  });

  it.each([
    ["later than its base, where the clock is behind", 1.5e12, 1.6e12, 1.6e12 + 1],
    ["after 2001, where there is no clock", 0, 0, 1e12],
    ["of thirteen digits, where a version lies in the far future", 1.7e12, 1e13 - 1, 1e13 - 1],
  ])("is %s", (_, nowMs, baseMs, timeMs) => {
    const based: ClaimRecord = { ...made, base: { ...empty, version: { timeMs: baseMs, id: "a" } } };
    expect(commitClaim(based, nowMs).commit?.timeMs).toBe(timeMs);
  });
});

describe("letGoOfClaim()", () => {
  it("keeps the first reason", () => {
    expect(letGoOfClaim(letGoOfClaim(used, "one"), "other").letGo).toBe("one");
  });
});
