// Where a claim starts: which base is taken, what has to be asked before, and what is made of trouble on the way.
import { compareVersions, type Version } from "./cache-key.ts";
import type { BaseOrigin } from "./claim-record.ts";
import { type CachePolicy, type ClaimSettings, formatCache } from "./claim-settings.ts";
import { Failure } from "./failure.ts";
import { formatBytes } from "./quantity.ts";
import { formatReference } from "./reference.ts";

/** Something to start from. One that others than Larder tagged has no version. */
export type Candidate = { readonly version?: Version; readonly bytes: number };

/** What came of asking. A reason to fail is any: not reached, not let in, or found broken when it was pulled. */
export type Answer<Found> =
  | { readonly kind: "found"; readonly found: Found }
  | { readonly kind: "absent" }
  | { readonly kind: "failed"; readonly failure: Failure };

export type BaseSeen<Found extends Candidate> = {
  readonly settings: Pick<ClaimSettings, "cache" | "from" | "failOnMiss" | "baseDeadlineMs">;
  readonly policy: CachePolicy;
  readonly maxSizeBytes: number;
  /** Since the claim's first stage began to look for a base. */
  readonly waitedMs: number;
  /** The newest head that was committed on this node, not pushed yet, and whether these credentials may have it. */
  readonly local?: Found & { readonly isProven: boolean };
  /** What the node last knew of the key's head, likewise. */
  readonly known?: Found & { readonly isProven: boolean };
  /** The answers so far; undefined: not asked yet. */
  readonly head?: Answer<Found>;
  readonly restored?: Answer<Found>;
  readonly from?: Answer<Found>;
};

export type BasePlan<Found extends Candidate> =
  /** Ask, add the answer to what was seen, and plan again. */
  | { readonly kind: "ask"; readonly what: "head" | "restored" | "from" }
  | {
      readonly kind: "start";
      readonly origin: BaseOrigin;
      /** None for an empty base. */
      readonly base?: Found;
      readonly isTainted: boolean;
      /** Of an outgrown head that is set aside: what is written back has to be newer, to take its place. */
      readonly after?: Version;
      /** A sentence for the owner, where the base is not the plain one. */
      readonly note?: string;
    }
  /** For this call; the next one asks again. */
  | { readonly kind: "fail"; readonly failure: Failure };

/**
 * The key's head, else the newest version that the restore keys find, else `from`, else nothing. What fails is waited
 * for until `base-deadline`, and then counts as nothing, with a warning and a taint; under `fail-on-miss` it never does.
 */
export function planBase<Found extends Candidate>(seen: BaseSeen<Found>): BasePlan<Found> {
  const { cache } = seen.settings;
  if (cache === undefined || seen.policy === "push") return planFrom(seen);
  if (seen.head === undefined) return { kind: "ask", what: "head" };
  const head = newestHead(seen);
  if (head !== undefined) return startFromHead(seen, head);
  if (seen.head.kind === "failed") return planDespite(seen, seen.head.failure);
  if (cache.restoreKeys.length === 0) return planFrom(seen);
  if (seen.restored === undefined) return { kind: "ask", what: "restored" };
  if (seen.restored.kind === "failed") return planDespite(seen, seen.restored.failure);
  if (seen.restored.kind === "absent") return planFrom(seen);
  const { found } = seen.restored;
  return found.bytes > seen.maxSizeBytes
    ? startOverSize(seen, found)
    : { kind: "start", origin: "restore", base: found, isTainted: false };
}

type Head<Found> = { readonly origin: "head" | "local" | "known"; readonly base: Found };

/** The registry's and those of this node are one line: the newest is the head. */
function newestHead<Found extends Candidate>(seen: BaseSeen<Found>): Head<Found> | undefined {
  const { head, local, known } = seen;
  const heads: Head<Found>[] = [
    ...(head?.kind === "found" ? [{ origin: "head", base: head.found } as const] : []),
    ...(local?.isProven === true ? [{ origin: "local", base: local } as const] : []),
    ...(head?.kind === "failed" && known?.isProven === true
      ? [{ origin: "known", base: known } as const]
      : []),
  ];
  const [first, ...rest] = heads;
  return rest.reduce((newest, one) => (isNewer(one.base, newest?.base) ? one : newest), first);
}

function isNewer(one: Candidate, other: Candidate | undefined): boolean {
  if (one.version === undefined) return false;
  return other?.version === undefined || compareVersions(one.version, other.version) > 0;
}

function startFromHead<Found extends Candidate>(
  seen: BaseSeen<Found>,
  { origin, base }: Head<Found>,
): BasePlan<Found> {
  if (base.bytes > seen.maxSizeBytes) return startOverSize(seen, base);
  if (seen.head?.kind !== "failed") return { kind: "start", origin, base, isTainted: false };
  const note = `The claim starts from what this node last had of the key "${seen.settings.cache?.key}", which may not be its head: ${seen.head.failure.message}`;
  return { kind: "start", origin, base, isTainted: true, note };
}

/** On purpose: what it writes back takes the place of what grew too large. */
function startOverSize<Found extends Candidate>(seen: BaseSeen<Found>, base: Found): BasePlan<Found> {
  const { cache, failOnMiss } = seen.settings;
  const sizes = `has ${formatBytes(base.bytes)}, more than its max-size of ${formatBytes(seen.maxSizeBytes)}`;
  if (failOnMiss) {
    return fail(
      "out-of-range",
      `Cannot start the claim: the cache ${cache === undefined ? "" : formatCache(cache)} ${sizes}; raise max-size, or set fail-on-miss to false`,
    );
  }
  const isTainted = seen.head?.kind === "failed";
  const note = `The claim starts empty: its cache ${sizes}`;
  const after = base.version === undefined ? {} : { after: base.version };
  return { kind: "start", origin: "empty", isTainted, note, ...after };
}

function planDespite<Found extends Candidate>(seen: BaseSeen<Found>, trouble: Failure): BasePlan<Found> {
  const isOver = seen.waitedMs >= seen.settings.baseDeadlineMs && !seen.settings.failOnMiss;
  return isOver ? planFrom(seen, trouble) : { kind: "fail", failure: trouble };
}

function planFrom<Found extends Candidate>(seen: BaseSeen<Found>, trouble?: Failure): BasePlan<Found> {
  if (seen.settings.from === undefined) return startEmpty(seen, trouble);
  if (seen.from === undefined) return { kind: "ask", what: "from" };
  if (seen.from.kind === "found") {
    const plan = { kind: "start", origin: "from", base: seen.from.found } as const;
    return trouble === undefined
      ? { ...plan, isTainted: false }
      : { ...plan, isTainted: true, note: `The claim does not start from its cache: ${trouble.message}` };
  }
  const failure = seen.from.kind === "failed" ? seen.from.failure : absentFrom(seen);
  const isOver = seen.waitedMs >= seen.settings.baseDeadlineMs && !seen.settings.failOnMiss;
  return isOver ? startEmpty(seen, trouble ?? failure) : { kind: "fail", failure };
}

/** A cache may be empty; an artifact that someone named is not expected to be missing. */
function absentFrom({ settings: { from } }: BaseSeen<Candidate>): Failure {
  const named = from === undefined ? "" : formatReference(from);
  return new Failure(
    "not-found",
    `Cannot start from ${named}: it is not there; push it, or leave "from" out`,
  );
}

function startEmpty<Found extends Candidate>(seen: BaseSeen<Found>, trouble?: Failure): BasePlan<Found> {
  const { cache, failOnMiss } = seen.settings;
  if (trouble !== undefined) {
    const note = `The claim starts empty: ${trouble.message}`;
    return { kind: "start", origin: "empty", isTainted: true, note };
  }
  if (!failOnMiss) return { kind: "start", origin: "empty", isTainted: false };
  const where = cache === undefined ? "" : `: ${formatCache(cache)} has nothing under the key "${cache.key}"`;
  return fail(
    "not-found",
    `Cannot start the claim, which must have a base${where}; fill the cache, name an artifact with "from", or set fail-on-miss to false`,
  );
}

const fail = (reason: "not-found" | "out-of-range", message: string) =>
  ({ kind: "fail", failure: new Failure(reason, message) }) as const;
