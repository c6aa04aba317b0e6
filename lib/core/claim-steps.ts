// What may happen to a claim, each as a new Record: how the invariants are kept from one call to the next.
import { inodesOfClaim } from "./admit-claim.ts";
import { EARLIEST_MS, LATEST_MS } from "./cache-key.ts";
import { type ClaimBase, type ClaimRecord, committedLayerId, type Outcome } from "./claim-record.ts";
import type { ClaimTerms } from "./claim-settings.ts";
import { Failure } from "./failure.ts";

/** The moment from which `base-deadline` counts; the first one stays. */
export function seekBase(record: ClaimRecord, nowMs: number): ClaimRecord {
  return record.base !== undefined || record.baseSoughtMs !== undefined
    ? record
    : { ...record, baseSoughtMs: nowMs };
}

/**
 * The claim on its base and staged. The base that the first stage fixed is the base for ever: another is refused
 * (`conflict`), since an upper is never mounted over another base; and so is a claim that is being deleted (`busy`). A stage of an earlier boot was never ended: the node
 * went down with it.
 */
export function stageClaim(
  record: ClaimRecord,
  base: ClaimBase,
  stage: NonNullable<ClaimRecord["stage"]>,
): ClaimRecord {
  if (record.commit !== undefined || record.letGo !== undefined) {
    throw new Failure(
      "busy",
      `Cannot stage the volume "${record.volumeId}": it is being deleted; make another claim`,
    );
  }
  if (record.base !== undefined && !isSameBase(record.base, base)) {
    throw new Failure(
      "conflict",
      `Cannot stage the volume "${record.volumeId}": it was begun on another base; its base has to be brought back, or the claim made anew`,
    );
  }
  const { look: _, ...rest } = noticeDown(record, stage.boot);
  return { ...rest, base: record.base ?? base, stage };
}

/** The claim as it is after a restart of its node, where there was one since it was staged, or unstaged without a sync. */
export function noticeDown(record: ClaimRecord, boot: string): ClaimRecord {
  const { stage, outcome: _, group, unsynced, ...rest } = record;
  if ((stage?.boot ?? boot) === boot && (unsynced ?? boot) === boot) return record;
  return {
    ...rest,
    publications: [],
    wentDown: { isUsedSince: false },
    // What was done to files for it may not have reached the disk, or be thrown away with them.
    ...(group === undefined ? {} : { group: { ...group, isApplied: false } }),
  };
}

/** What the pods wrote may be less than they think: never synced, and no pod has ended well on it since. */
export function isThrownAway({ settings, wentDown }: ClaimRecord): boolean {
  return settings.durability === "volatile" && wentDown !== undefined && !wentDown.isUsedSince;
}

/** How the pods before ended says nothing of the one that uses it now. Repeating it changes nothing. */
export function publishClaim(
  record: ClaimRecord,
  publication: ClaimRecord["publications"][number],
): ClaimRecord {
  if (record.publications.some(({ target }) => target === publication.target)) return record;
  const { outcome: _, ...rest } = record;
  return {
    ...rest,
    publications: [...record.publications, publication],
    ...(record.wentDown === undefined ? {} : { wentDown: { isUsedSince: true } }),
  };
}

export function unpublishClaim(record: ClaimRecord, target: string): ClaimRecord {
  return { ...record, publications: record.publications.filter((one) => one.target !== target) };
}

/**
 * Unmounted in order, what pods wrote is whole; a volatile claim only until its node goes down, since nothing synced it.
 * After a restart of the node there was nothing left to unmount.
 */
export function unstageClaim(record: ClaimRecord, boot: string): ClaimRecord {
  const { stage, ...rest } = noticeDown(record, boot);
  const isUnsynced = stage !== undefined && rest.settings.durability === "volatile";
  return { ...rest, publications: [], ...(isUnsynced ? { unsynced: boot } : {}) };
}

/** A success counts against a node that went down only if a pod used the claim since. */
export function endPods(record: ClaimRecord, outcome: Outcome): ClaimRecord {
  const { wentDown, ...rest } = record;
  const isTrusted = wentDown === undefined || (wentDown.isUsedSince && outcome === "success");
  return { ...rest, outcome, ...(isTrusted ? {} : { wentDown }) };
}

/** What the owner, or the provisioner on hearing of the pods, says later. */
export function modifyClaim(
  record: ClaimRecord,
  change: { readonly terms: Partial<ClaimTerms>; readonly outcome?: Outcome },
): ClaimRecord {
  const modified = { ...record, terms: { ...record.terms, ...change.terms } };
  return change.outcome === undefined ? modified : endPods(modified, change.outcome);
}

/** A claim never shrinks; the files it may have grow with it, unless they were said. */
export function expandClaim(record: ClaimRecord, bytes: number): ClaimRecord {
  if (bytes <= record.bytes) return record;
  const inodes = record.settings.inodes ?? Math.max(record.inodes, inodesOfClaim(bytes));
  return { ...record, bytes, inodes };
}

/** The moment of the first such call stays. Each is a try, by which `push-deadline` counts. */
export function deleteClaim(record: ClaimRecord, nowMs: number): ClaimRecord {
  return {
    ...record,
    deletedMs: record.deletedMs ?? nowMs,
    tried: { atMs: nowMs, forMs: triedForMs(record, nowMs) },
  };
}

/** Longer than any caller backs off. What is longer was no trying: the node was off, or its clock was set. */
const LONGEST_PAUSE_MS = 3_600_000;

/** For how long the write-back was tried by now. */
export function triedForMs({ tried }: ClaimRecord, nowMs: number): number {
  if (tried === undefined) return 0;
  return tried.forMs + Math.min(Math.max(0, nowMs - tried.atMs), LONGEST_PAUSE_MS);
}

/**
 * Fixes the version's time; what pods wrote is synced by then. It is later than that of the version it began from,
 * whatever this node's clock says, so that what was built on a head is newer than it.
 */
export function commitClaim(record: ClaimRecord, nowMs: number): ClaimRecord {
  if (record.commit !== undefined) return record;
  const timeMs = Math.max(nowMs, EARLIEST_MS, (record.base?.version?.timeMs ?? 0) + 1);
  const { unsynced: _, ...rest } = record;
  return {
    ...rest,
    commit: { timeMs: Math.min(timeMs, LATEST_MS), layer: committedLayerId(record) },
  };
}

/** Its data may go: from now on nothing but removal follows. The first reason stays. */
export function letGoOfClaim(record: ClaimRecord, why: string): ClaimRecord {
  return record.letGo === undefined ? { ...record, letGo: why } : record;
}

const isSameBase = (one: ClaimBase, other: ClaimBase) =>
  one.layers.length === other.layers.length && one.layers.every((layer, at) => layer === other.layers[at]);
