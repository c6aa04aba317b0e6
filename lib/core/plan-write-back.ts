// What becomes of a claim's changes when it is deleted: the next step to the registry's answer, or why they are let go.
import { compareVersions, type Version } from "./cache-key.ts";
import type { ClaimRecord } from "./claim-record.ts";
import { noticeDown, triedForMs } from "./claim-steps.ts";
import { Failure } from "./failure.ts";

export type WriteBackSeen = {
  readonly record: ClaimRecord;
  /** The node's boot now. */
  readonly boot: string;
  readonly nowMs: number;
  readonly isMounted: boolean;
  /** Whether packing found anything changed; undefined while it was not packed. */
  readonly isChanged?: boolean;
  /** Whether it was looked for what an earlier call tagged. */
  readonly isLookedFor?: boolean;
  /** Why the step before failed, or the next cannot begin: a missing secret too. */
  readonly failure?: Failure;
};

export type WriteBackStep =
  | { readonly kind: "fail"; readonly failure: Failure }
  | { readonly kind: "commit" }
  /** What an earlier call pushed may stand whole: then that is the version. */
  | { readonly kind: "resume" }
  | { readonly kind: "pack" }
  | { readonly kind: "push" }
  /** The data may go, for that reason; it is lost for the registry where `isLoss`, which is counted. */
  | { readonly kind: "let-go"; readonly why: string; readonly isLoss: boolean }
  /** The registry has confirmed it. */
  | { readonly kind: "remove" };

/** The first step that is still to be done. Each is recorded when it is done, and planned from there. */
export function planWriteBack(seen: WriteBackSeen): WriteBackStep {
  const { record } = seen;
  if (seen.isMounted) return { kind: "fail", failure: stillMounted(record) };
  if (record.push?.state === "confirmed") return { kind: "remove" };
  const why = record.letGo ?? whyToLetGo(record, seen.boot);
  if (why !== undefined) return { kind: "let-go", why, isLoss: false };
  if (seen.isChanged === false) return { kind: "let-go", why: "nothing changed in it", isLoss: false };
  if (seen.failure !== undefined) return planDespite(record, seen.nowMs, seen.failure);
  if (record.commit === undefined) return { kind: "commit" };
  if (record.push !== undefined && seen.isLookedFor !== true) return { kind: "resume" };
  return { kind: seen.isChanged === undefined ? "pack" : "push" };
}

export function stillMounted({ volumeId, node }: ClaimRecord): Failure {
  return new Failure(
    "in-use",
    `Cannot delete the volume "${volumeId}": it is mounted on ${node}; it goes when the pods that use it have gone`,
  );
}

function planDespite(record: ClaimRecord, nowMs: number, failure: Failure): WriteBackStep {
  if (!mayDrop(record, nowMs)) return { kind: "fail", failure };
  const why = `it could not be written back until its push-deadline: ${failure.message}`;
  return { kind: "let-go", why, isLoss: true };
}

/** Why nothing of it is to be written back; undefined where it is. */
function whyToLetGo(record: ClaimRecord, boot: string): string | undefined {
  const { settings, terms } = record;
  if (settings.cache === undefined) return "it has no cache";
  if (terms.policy === "pull" || terms.policy === "discard") return `its policy is "${terms.policy}"`;
  if (record.base === undefined) return "no pod has used it";
  const seen = noticeDown(record, boot);
  if (settings.durability === "volatile" && seen.wentDown !== undefined) {
    return "its node went down before what its pods wrote was synced, and it is volatile";
  }
  if (terms.when === "always") return undefined;
  if (seen.outcome === "failure") return "the last pod that used it failed";
  return seen.outcome === "success" || settings.whenUnknown === "push"
    ? undefined
    : "how the last pod that used it ended is not known";
}

/** `push-deadline` counts the time for which it was tried, since the claim was first to be deleted. */
function mayDrop(record: ClaimRecord, nowMs: number): boolean {
  const { terms, deletedMs } = record;
  if (terms.onPushFailure !== "drop" || deletedMs === undefined) return false;
  return triedForMs(record, nowMs) >= terms.pushDeadlineMs;
}

/** What the moving tag points at: nothing, a version, or something that others than Larder put there. */
export type KeyHead =
  | {
      readonly version?: Version;
      /** Who asks now was told that there was none when the claim looked: so there was none. */
      readonly isNews?: boolean;
    }
  | undefined;

/** Whether it takes a look at the head to know: what the claim was not shown may have been there all the time. */
export function isToSeeHead({ base }: ClaimRecord): boolean {
  return base?.isTainted === true || base?.isHeadAbsent === true;
}

/**
 * Registries disguise a refusal as an absence. A head from before the claim was made, which it did not see, was kept from
 * it, unless the same credentials find it now: then its writer was slow to push it.
 */
function isHidden({ base, createdMs }: ClaimRecord, head: KeyHead): boolean {
  if (base?.isHeadAbsent !== true || head?.version === undefined || head.isNews === true) return false;
  return head.version.timeMs < createdMs && !isSame(base.version, head.version);
}

/** Why this version is never to have its key, in words; undefined where it may. Trouble never becomes content. */
export function whyKeyless(record: ClaimRecord, boot: string, head: KeyHead): string | undefined {
  const { base, push } = record;
  const isDown = noticeDown(record, boot).wentDown !== undefined;
  const isLess = base?.isTainted === true && !isSame(base.version, head?.version);
  const isUnseen = isHidden(record, head);
  if (push === undefined ? !isDown && !isLess && !isUnseen : !push.isKeyless) return undefined;
  if (isDown) return "the claim was mounted when its node went down, and no pod has ended well on it since";
  return isUnseen
    ? "the head is older than the claim, whose credentials were told that there was none; let those with which it is staged read the cache"
    : "the claim started from less than the head, because that could not be had";
}

export type KeyMove =
  | { readonly moves: true }
  /** The version stands without the key; why, in words. */
  | { readonly moves: false; readonly why: string };

/**
 * Whether the claim's version becomes the key's head. Trouble never does: not what started from less than the head
 * because something failed (unless that turns out to be the head), nor what was mounted when its node went down and
 * no pod has used to a success since. And the newer version keeps the key, whoever comes later. Asked again after the
 * move, the answer is the same.
 */
export function planKeyMove(record: ClaimRecord, boot: string, head: KeyHead): KeyMove {
  const { commit, settings } = record;
  const stays = (why: string): KeyMove => ({
    moves: false,
    why: `The key "${settings.cache?.key}" stays as it is: ${why}`,
  });
  if (commit === undefined) return stays("nothing is committed");
  const own: Version = { timeMs: commit.timeMs, id: record.id };
  if (isSame(own, head?.version)) return { moves: true };
  const trouble = whyKeyless(record, boot, head);
  if (trouble !== undefined) return stays(trouble);
  if (head?.version !== undefined && compareVersions(head.version, own) > 0) {
    return stays(`version ${head.version.timeMs}.${head.version.id} is newer than this one`);
  }
  return { moves: true };
}

/** Something without a version might be anything. */
const isSame = (one: Version | undefined, other: Version | undefined) =>
  one !== undefined && other !== undefined && compareVersions(one, other) === 0;
