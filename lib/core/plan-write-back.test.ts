import { describe, expect, it } from "vitest";
import type { ClaimRecord } from "./claim-record.ts";
import {
  commitClaim,
  deleteClaim,
  endPods,
  noticeDown,
  publishClaim,
  stageClaim,
  unstageClaim,
} from "./claim-steps.ts";
import { digestOf } from "./digest.ts";
import { Failure } from "./failure.ts";
import {
  isToSeeHead,
  planKeyMove,
  planWriteBack,
  type WriteBackSeen,
  whyKeyless,
} from "./plan-write-back.ts";
import { committed, made, settings, used } from "./testing/claims.ts";

const seen: WriteBackSeen = { record: used, boot: "b1", nowMs: 1.71e12, isMounted: false };
const plan = (record: ClaimRecord, change: Partial<WriteBackSeen> = {}) =>
  planWriteBack({ ...seen, record, ...change });
const terms = (record: ClaimRecord, change: Partial<ClaimRecord["terms"]>): ClaimRecord => ({
  ...record,
  terms: { ...record.terms, ...change },
});
const set = (record: ClaimRecord, change: Partial<ClaimRecord["settings"]>): ClaimRecord => ({
  ...record,
  settings: { ...record.settings, ...change },
});
const { outcome: _, ...unheard } = used;
const { cache: __, ...cacheless } = settings;
const failure = new Failure("unavailable", "Cannot push to r.example");
const base = used.base ?? { layers: [], origin: "empty", isTainted: false };
const mounted = publishClaim(stageClaim(made, base, { path: "/s", boot: "b1" }), {
  target: "/t",
  readOnly: false,
});
const failedHead = { ...used, outcome: "failure" } as const;

describe("planWriteBack()", () => {
  it("goes from commit to pack to push to removal", () => {
    expect(plan(used)).toEqual({ kind: "commit" });
    expect(plan(committed)).toEqual({ kind: "pack" });
    expect(plan(committed, { isChanged: true })).toEqual({ kind: "push" });
    const push = { manifest: digestOf("p"), versionTag: "t", isKeyless: false, state: "begun" } as const;
    expect(plan({ ...committed, push })).toEqual({ kind: "resume" });
    expect(plan({ ...committed, push }, { isLookedFor: true })).toEqual({ kind: "pack" });
    expect(plan({ ...committed, push }, { isLookedFor: true, isChanged: true })).toEqual({ kind: "push" });
    expect(plan({ ...committed, push: { ...push, state: "confirmed" } })).toEqual({ kind: "remove" });
  });

  it("touches nothing that is mounted, whatever the policy", () => {
    for (const record of [used, terms(used, { policy: "discard" }), committed]) {
      expect(plan(record, { isMounted: true })).toMatchObject({
        kind: "fail",
        failure: { reason: "in-use", message: expect.stringContaining('"claim-1"') },
      });
    }
  });

  it.each([
    ["it has no cache", { ...used, settings: cacheless }],
    ['policy is "pull"', terms(used, { policy: "pull" })],
    ['policy is "discard"', terms(used, { policy: "discard", when: "always" })],
    ["no pod has used it", made],
    ["no pod has used it", terms(made, { when: "always" })],
    ["last pod that used it failed", failedHead],
    ["last pod that used it failed", set(failedHead, { whenUnknown: "push" })],
    ["is not known", unheard],
    ["volatile", set(terms(noticeDown(mounted, "b2"), { when: "always" }), { durability: "volatile" })],
    ["because", { ...used, letGo: "because" }],
  ] as ReadonlyArray<readonly [string, ClaimRecord]>)("lets go where %s", (why, record) => {
    expect(plan(record)).toMatchObject({
      kind: "let-go",
      isLoss: false,
      why: expect.stringContaining(why),
    });
    const begun = commitClaim(deleteClaim(record, 1), 1);
    expect(plan(begun, { isChanged: true }).kind).toBe("let-go");
  });

  it.each([
    ["a success", used],
    ["a success, where it only pushes", terms(used, { policy: "push" })],
    ["a failure under always", terms(failedHead, { when: "always" })],
    ["an unknown end under always", terms(unheard, { when: "always" })],
    ["an unknown end that counts as a success", set(unheard, { whenUnknown: "push" })],
    ["a success on a volatile claim", set(used, { durability: "volatile" })],
  ] as ReadonlyArray<readonly [string, ClaimRecord]>)("writes back after %s", (_, record) => {
    expect(plan(record)).toEqual({ kind: "commit" });
  });

  it("pushes nothing where nothing changed", () => {
    expect(plan(committed, { isChanged: false })).toEqual({
      kind: "let-go",
      why: "nothing changed in it",
      isLoss: false,
    });
  });

  it("notices at the deletion itself that the node went down", () => {
    const volatile = set(endPods(mounted, "success"), { durability: "volatile" });
    expect(plan(volatile, { boot: "b2" })).toMatchObject({ kind: "let-go" });
    const unstaged = unstageClaim(volatile, "b1");
    expect(plan(unstaged, { boot: "b1" })).toEqual({ kind: "commit" });
    expect(plan(unstaged, { boot: "b2" })).toMatchObject({ kind: "let-go" });
    // Synced by then.
    expect(plan(commitClaim(unstaged, 1), { boot: "b2" })).toEqual({ kind: "pack" });
    expect(plan(endPods(mounted, "success"), { boot: "b2" })).toMatchObject({
      kind: "let-go",
      why: expect.stringContaining("is not known"),
    });
  });

  describe("after a failed flight", () => {
    const after = (ms: number, change: Partial<ClaimRecord["terms"]> = {}) =>
      plan(terms(tried(ms), change), { isChanged: true, failure, nowMs: 1.71e12 });
    const tried = (forMs: number) => ({ ...committed, tried: { atMs: 1.71e12, forMs } });

    it("fails until the deadline, and loses nothing", () => {
      expect(after(0)).toEqual({ kind: "fail", failure });
      expect(after(86_399_999)).toEqual({ kind: "fail", failure });
      expect(plan(committed, { failure })).toEqual({ kind: "fail", failure });
    });

    it("counts no time for which nobody tried: the node was off, or its clock jumped", () => {
      const nowMs = 1.71e12 + 10 * 365 * 86_400_000;
      expect(plan(tried(0), { isChanged: true, failure, nowMs })).toEqual({ kind: "fail", failure });
      expect(plan(tried(86_000_000), { isChanged: true, failure, nowMs: 0 })).toEqual({
        kind: "fail",
        failure,
      });
      expect(plan(tried(86_000_000), { isChanged: true, failure, nowMs })).toMatchObject({ isLoss: true });
    });

    it("tries no step again in the same call, commit and pack among them", () => {
      expect(plan(used, { failure })).toEqual({ kind: "fail", failure });
      expect(plan(committed, { failure })).toEqual({ kind: "fail", failure });
      expect(plan(terms(used, { policy: "discard" }), { failure }).kind).toBe("let-go");
      expect(plan(committed, { failure, isChanged: false })).toMatchObject({
        kind: "let-go",
        isLoss: false,
      });
    });

    it("lets go from the deadline on, naming what failed, and counts it", () => {
      expect(after(86_400_000)).toEqual({
        kind: "let-go",
        isLoss: true,
        why: expect.stringContaining("push-deadline: Cannot push to r.example"),
      });
    });

    it("never lets go where the policy is to keep, nor before anybody deleted it", () => {
      expect(after(1e12, { onPushFailure: "keep" })).toEqual({ kind: "fail", failure });
      const { deletedMs: _, ...alive } = tried(1e12);
      expect(plan(alive, { failure, nowMs: 9e12 })).toEqual({ kind: "fail", failure });
    });

    it("pushes at once when asked again within the deadline or after it, with nothing failed yet", () => {
      expect(plan(committed, { isChanged: true, nowMs: 9e12 })).toEqual({ kind: "push" });
    });
  });
});

describe("planKeyMove()", () => {
  const older = { version: { timeMs: 1.6e12, id: "base" } };
  const newer = { version: { timeMs: 1.72e12, id: "other" } };
  const own = { version: { timeMs: 1.71e12, id: "k3x9" } };
  const tainted = (version?: { timeMs: number; id: string }): ClaimRecord => ({
    ...committed,
    base: { layers: [], origin: "known", isTainted: true, ...(version === undefined ? {} : { version }) },
  });
  const move = (record: ClaimRecord, head?: object) => planKeyMove(record, "b1", head);

  it.each([
    ["no head", undefined],
    ["an older head", older],
    ["a head of the same moment and a smaller id", { version: { ...own.version, id: "a" } }],
    ["somebody else's tag", {}],
    ["itself, moved by the call before", own],
  ])("moves the key over %s", (_, head) => {
    expect(move(committed, head)).toEqual({ moves: true });
  });

  it.each([
    ["a newer head", newer],
    ["a head of the same moment and a larger id", { version: { ...own.version, id: "z" } }],
  ])("leaves the key to %s, and names it", (_, head) => {
    expect(move(committed, head)).toEqual({
      moves: false,
      why: expect.stringContaining(`${head.version.timeMs}.${head.version.id} is newer`),
    });
  });

  it.each([
    ["no head, for it had to start empty", tainted(), undefined],
    ["somebody else's tag", tainted(), {}],
    ["the head that it could not have", tainted(), older],
    ["a head newer than what this node knew", tainted({ timeMs: 1.5e12, id: "x" }), older],
  ])("never moves it by trouble: %s", (_, record, head) => {
    expect(move(record, head)).toEqual({ moves: false, why: expect.stringContaining("less than the head") });
  });

  it("moves it where what this node knew turns out to be the head, and says so again after the move", () => {
    const lucky = tainted(older.version);
    expect(move(lucky, older)).toEqual({ moves: true });
    expect(move(lucky, own)).toEqual({ moves: true });
    expect(move(lucky, newer).moves).toBe(false);
  });

  it("never moves it after the node went down, until a pod has used the claim to a success", () => {
    const commit = (record: ClaimRecord) => commitClaim(record, 1.71e12);
    const down = noticeDown(mounted, "b2");
    const again = publishClaim(stageClaim(down, base, { path: "/s", boot: "b2" }), {
      target: "/u",
      readOnly: false,
    });
    const at = (record: ClaimRecord) => planKeyMove(commit(record), "b2", older).moves;
    expect(at(mounted)).toBe(false);
    expect(at(down)).toBe(false);
    expect(at(endPods(down, "success"))).toBe(false);
    expect(at(unstageClaim(endPods(again, "failure"), "b2"))).toBe(false);
    expect(at(unstageClaim(again, "b2"))).toBe(false);
    expect(at(unstageClaim(endPods(mounted, "success"), "b2"))).toBe(false);
    expect(at(unstageClaim(endPods(again, "success"), "b2"))).toBe(true);
  });

  it("stands by what the first try to push decided, whatever the head has become since", () => {
    const pushing = (record: ClaimRecord, isKeyless: boolean): ClaimRecord => ({
      ...record,
      push: { manifest: digestOf("p"), versionTag: "t", isKeyless, state: "begun" },
    });
    const lucky = tainted(older.version);
    const between = { version: { timeMs: 1.65e12, id: "x" } };
    expect(move(pushing(lucky, false), between)).toEqual({ moves: true });
    expect(move(pushing(lucky, false), newer).moves).toBe(false);
    expect(move(pushing(lucky, true), older).moves).toBe(false);
  });

  it("moves nothing that is not committed", () => {
    expect(move(used).moves).toBe(false);
  });
});

describe("whyKeyless()", () => {
  it("is for trouble alone, not for coming second", () => {
    const newer = { version: { timeMs: 1.72e12, id: "other" } };
    expect(planKeyMove(committed, "b1", newer).moves).toBe(false);
    expect(whyKeyless(committed, "b1", newer)).toBeUndefined();
    const tainted = { ...committed, base: { layers: [], origin: "empty", isTainted: true } } as const;
    expect(whyKeyless(tainted, "b1", undefined)).toContain("less than the head");
    expect(whyKeyless(mounted, "b2", undefined)).toContain("went down");
  });

  describe("for a head that the claim was told is not there", () => {
    const unshown = {
      ...committed,
      base: { layers: [], origin: "empty", isTainted: false, isHeadAbsent: true },
    } as const;
    const at = (timeMs: number) => ({ version: { timeMs, id: "other" } });

    it("is where that is older than the claim: it was not shown", () => {
      expect(isToSeeHead(unshown)).toBe(true);
      expect(whyKeyless(unshown, "b1", at(made.createdMs - 1))).toContain("were told that there was none");
      expect(planKeyMove(unshown, "b1", at(made.createdMs - 1)).moves).toBe(false);
    });

    it.each([
      ["none there still", unshown, undefined],
      ["that came since", unshown, at(made.createdMs)],
      ["that a slow writer pushed since, as the same credentials tell", unshown, { ...at(1), isNews: true }],
      ["that others put there", unshown, {}],
      ["that it started from by what was here", { ...unshown, base: { ...unshown.base, ...at(1) } }, at(1)],
      ["where it saw one", committed, at(1)],
    ] as const)("is not for %s", (_, record, head) => {
      expect(whyKeyless(record, "b1", head)).toBeUndefined();
    });
  });
});
