import { describe, expect, it } from "vitest";
import { Failure } from "./failure.ts";
import { type Answer, type BaseSeen, type Candidate, planBase } from "./plan-base.ts";
import { settings } from "./testing/claims.ts";

type Named = Candidate & { readonly name: string };
type Seen = BaseSeen<Named>;
type Asked = Partial<Record<"head" | "restored" | "from", Answer<Named>>>;

const version = (at: number) => ({ timeMs: 1.7e12 + at, id: "a" });
const named = (name: string, at?: number, bytes = 10): Named => ({
  name,
  bytes,
  ...(at === undefined ? {} : { version: version(at) }),
});
const found = (name: string, at?: number, bytes?: number): Answer<Named> => ({
  kind: "found",
  found: named(name, at, bytes),
});
const absent = { kind: "absent" } as const;
const failed = { kind: "failed", failure: new Failure("unavailable", "Cannot reach r.example") } as const;
const proven = <One extends object>(one: One, isProven = true) => ({ ...one, isProven });

const from = { host: "r.example", repository: "seed", tag: "v1" };
const seen: Seen = { settings, policy: "pull-push", maxSizeBytes: 100, waitedMs: 0 };
const late = { waitedMs: settings.baseDeadlineMs };
const strict = { settings: { ...settings, failOnMiss: true } };
const seeded = { settings: { ...settings, from } };
const { cache: _, ...cacheless } = settings;

/** Asks as the plan says, until it asks no more. */
function run(change: Partial<Seen>, answers: Asked = {}) {
  const asked: string[] = [];
  let now: Seen = { ...seen, ...change };
  for (;;) {
    const plan = planBase(now);
    if (plan.kind !== "ask") return { plan, asked };
    asked.push(plan.what);
    const answer = answers[plan.what];
    if (answer === undefined || now[plan.what] !== undefined) throw new Error(`asked for ${plan.what}`);
    now = { ...now, [plan.what]: answer };
  }
}

function start(change: Partial<Seen>, answers: Asked = {}) {
  const { plan } = run(change, answers);
  if (plan.kind !== "start") throw new Error(`plans to ${plan.kind}`);
  const { origin, base, isTainted, note } = plan;
  return { origin, name: base?.name, isTainted, note };
}

function failureOf(change: Partial<Seen>, answers: Asked = {}): Failure {
  const { plan } = run(change, answers);
  if (plan.kind !== "fail") throw new Error(`plans to ${plan.kind}`);
  return plan.failure;
}

const clean = (origin: string, name?: string) => ({ origin, name, isTainted: false, note: undefined });

describe("planBase()", () => {
  it("takes the key's head, and asks for nothing else", () => {
    const { plan, asked } = run(seeded, { head: found("head", 5) });
    expect(plan).toMatchObject({ kind: "start", origin: "head", base: { name: "head" }, isTainted: false });
    expect(asked).toEqual(["head"]);
  });

  it("asks in order: head, restore keys, from, and then starts empty", () => {
    expect(run(seeded, { head: absent, restored: absent, from: found("seed") }).asked).toEqual([
      "head",
      "restored",
      "from",
    ]);
    expect(start(seeded, { head: absent, restored: found("old", 1) })).toEqual(clean("restore", "old"));
    expect(start(seeded, { head: absent, restored: absent, from: found("seed") })).toEqual(
      clean("from", "seed"),
    );
    expect(start({}, { head: absent, restored: absent })).toEqual(clean("empty"));
  });

  it("asks for no versions where there are no restore keys", () => {
    const cache = { ...settings.cache, host: "r.example", repository: "a", key: "k", restoreKeys: [] };
    expect(run({ settings: { ...settings, cache } }, { head: absent }).asked).toEqual(["head"]);
  });

  it("asks no registry for a claim without a cache, nor for the cache of one that only pushes", () => {
    expect(run({ settings: cacheless }).asked).toEqual([]);
    expect(start({ policy: "push" })).toEqual(clean("empty"));
    expect(run({ ...seeded, policy: "push" }, { from: found("seed") })).toMatchObject({
      asked: ["from"],
      plan: { origin: "from", isTainted: false },
    });
    for (const policy of ["pull", "discard"] as const) {
      expect(start({ policy }, { head: found("head", 1) })).toEqual(clean("head", "head"));
    }
  });

  describe("of heads", () => {
    it.each([
      ["the one committed here, where it is newer", 5, 6, true, "local"],
      ["the registry's, where that is newer", 6, 5, true, "head"],
      ["the registry's, where the right to the other is not proven", 5, 6, false, "head"],
      ["the registry's, where they are the same", 5, 5, true, "head"],
    ])("takes %s", (_, remote, here, isProven, origin) => {
      const local = proven(named("local", here), isProven);
      expect(start({ local }, { head: found("head", remote) }).origin).toBe(origin);
    });

    it("takes the one committed here where the registry has none, or one that is no version", () => {
      const local = proven(named("local", 1));
      expect(start({ local }, { head: absent })).toEqual(clean("local", "local"));
      expect(start({ local }, { head: found("foreign") })).toEqual(clean("local", "local"));
      expect(start({}, { head: found("foreign") })).toEqual(clean("head", "foreign"));
    });

    it("does not take what it knew before while the registry answers otherwise", () => {
      const known = proven(named("known", 9));
      expect(start({ known }, { head: found("head", 1) }).name).toBe("head");
      expect(start({ known }, { head: absent, restored: absent }).origin).toBe("empty");
    });
  });

  describe("in trouble", () => {
    it("starts from what the node last knew, at once and tainted, with a warning", () => {
      const plan = start({ known: proven(named("known", 3)) }, { head: failed });
      expect(plan).toMatchObject({ origin: "known", name: "known", isTainted: true });
      expect(plan.note).toMatch(/key "main".*may not be its head: Cannot reach r\.example/);
    });

    it("takes the newer of what it knew and what was committed here", () => {
      const local = proven(named("local", 4));
      expect(start({ known: proven(named("known", 3)), local }, { head: failed }).name).toBe("local");
      expect(start({ known: proven(named("known", 5)), local }, { head: failed }).name).toBe("known");
      expect(start({ local }, { head: failed })).toMatchObject({ name: "local", isTainted: true });
    });

    it("gives nothing of this node to credentials without a proof", () => {
      const change = { known: proven(named("k", 3), false), local: proven(named("l", 4), false) };
      expect(failureOf(change, { head: failed })).toBe(failed.failure);
      expect(start({ ...change, ...late }, { head: failed })).toMatchObject({
        origin: "empty",
        isTainted: true,
      });
    });

    it("waits until the deadline, then starts empty, tainted, with a warning", () => {
      expect(failureOf({ waitedMs: settings.baseDeadlineMs - 1 }, { head: failed })).toBe(failed.failure);
      expect(start(late, { head: failed })).toEqual({
        origin: "empty",
        name: undefined,
        isTainted: true,
        note: "The claim starts empty: Cannot reach r.example",
      });
      expect(start(late, { head: absent, restored: failed })).toMatchObject({
        origin: "empty",
        isTainted: true,
      });
    });

    it("takes from then, still tainted, since its cache had more", () => {
      const plan = start({ ...seeded, ...late }, { head: failed, from: found("seed") });
      expect(plan).toMatchObject({ origin: "from", isTainted: true });
      expect(plan.note).toContain("Cannot reach r.example");
      expect(run({ ...seeded, ...late }, { head: failed, from: failed })).toMatchObject({
        asked: ["head", "from"],
        plan: { origin: "empty", isTainted: true },
      });
    });

    it("does not write an empty cache off because its seed failed, nor let it move the key", () => {
      const answers = { head: absent, restored: absent, from: failed };
      expect(failureOf(seeded, answers)).toBe(failed.failure);
      expect(start({ ...seeded, ...late }, answers)).toMatchObject({ origin: "empty", isTainted: true });
      expect(failureOf(seeded, { ...answers, from: absent }).message).toContain("r.example/seed:v1");
      expect(start({ ...seeded, ...late }, { ...answers, from: absent })).toMatchObject({ isTainted: true });
    });
  });

  describe("under fail-on-miss", () => {
    it("never starts empty, however long it waits", () => {
      expect(failureOf({ ...strict, ...late }, { head: failed })).toBe(failed.failure);
      expect(failureOf({ ...strict, ...late }, { head: absent, restored: failed })).toBe(failed.failure);
      expect(failureOf({ ...strict, ...late }, { head: absent, restored: absent })).toMatchObject({
        reason: "not-found",
        message: expect.stringContaining('r.example/caches/team/npm has nothing under the key "main"'),
      });
      expect(failureOf({ settings: { ...cacheless, failOnMiss: true } })).toMatchObject({
        reason: "not-found",
      });
    });

    it("takes any base there is", () => {
      expect(start(strict, { head: absent, restored: found("old", 1) }).name).toBe("old");
      expect(start({ ...strict, known: proven(named("k", 1)) }, { head: failed }).name).toBe("k");
    });
  });

  describe("with a head over max-size", () => {
    it("starts empty on purpose, free to move the key", () => {
      const plan = start(seeded, { head: found("head", 1, 101) });
      expect(plan).toMatchObject({ origin: "empty", isTainted: false });
      expect(plan.note).toContain("101 B, more than its max-size of 100 B");
      expect(start({}, { head: found("head", 1, 100) }).origin).toBe("head");
      expect(start({}, { head: absent, restored: found("old", 1, 101) })).toMatchObject({
        origin: "empty",
        isTainted: false,
      });
    });

    it("tells what is to be newer than that, whatever clock it was written by", () => {
      const { plan } = run({}, { head: found("head", 1, 101) });
      expect(plan).toMatchObject({ kind: "start", origin: "empty", after: version(1) });
      expect(run({}, { head: found("foreign", undefined, 101) }).plan).not.toHaveProperty("after");
    });

    it("stays tainted where it is not sure to be the head", () => {
      expect(start({ known: proven(named("k", 1, 101)) }, { head: failed })).toMatchObject({
        origin: "empty",
        isTainted: true,
      });
    });

    it("is refused where a base must be had", () => {
      expect(failureOf(strict, { head: found("head", 1, 101) })).toMatchObject({ reason: "out-of-range" });
    });
  });
});
