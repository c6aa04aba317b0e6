// Decides what a claim starts from: asks what the plan wants to know, and tries what it decides on.
import type { Access } from "../core/access.ts";
import type { BaseOrigin, ClaimRecord } from "../core/claim-record.ts";
import type { ClaimCache } from "../core/claim-settings.ts";
import { Failure, isFailure } from "../core/failure.ts";
import { type BasePlan, type BaseSeen, planBase } from "../core/plan-base.ts";
import { whyKeyless } from "../core/plan-write-back.ts";
import { askForBase, pinned } from "./ask-for-base.ts";
import { accessesFor } from "./cache-access.ts";
import { type KnownHead, readKnownHead } from "./known-heads.ts";
import { askingOf, type FindDeps, type Found, type Search } from "./lease-base.ts";
import { newestLocal } from "./local-heads.ts";

type Seen = BaseSeen<Found>;

/** What registries answered about a Cache. */
export type CacheAnswers = Pick<Seen, "head" | "restored">;

/** Of what was tried; undefined for an empty base. */
export type BaseChoice<T> = Omit<Extract<BasePlan<Found>, { readonly kind: "start" }>, "kind"> & {
  readonly tried?: T;
  readonly answers: CacheAnswers;
};

export type Choosing<T> = {
  /** Given by registries just now, to be taken for what they would say; asked for anew where they lead nowhere. */
  readonly answers: CacheAnswers;
  /** Brings what was decided on, or tells why it cannot be had. */
  readonly attempt: (found: Found) => Promise<T | Failure>;
};

/**
 * The base of a claim that has none yet. Trouble with a cache becomes a taint and a note once `base-deadline` has
 * passed, never a failure, unless the claim says it must have it. Failures of what is tried until then.
 */
export async function chooseBase<T>(
  deps: FindDeps,
  search: Search,
  { answers, attempt }: Choosing<T>,
): Promise<BaseChoice<T>> {
  const nothing = nothingSeen(search.record);
  let isGiven = answers.head !== undefined;
  let seen: Seen = { ...nothing, ...answers };
  if (isGiven) seen = await withOwnHeads(deps, search, seen);
  for (;;) {
    const plan = planBase({ ...seen, waitedMs: waitedMs(deps, search.record) });
    if (plan.kind === "fail") throw plan.failure;
    if (plan.kind === "ask") {
      seen = await withAnswer(deps, search, seen, plan.what);
      continue;
    }
    const { head, restored } = seen;
    const came = {
      ...plan,
      answers: { ...(head === undefined ? {} : { head }), ...(restored === undefined ? {} : { restored }) },
    };
    if (plan.base === undefined) return came;
    const tried = await attempt(plan.base);
    if (!(tried instanceof Failure)) return { ...came, tried };
    seen = isGiven ? nothing : await without(deps, search, seen, { origin: plan.origin, failure: tried });
    isGiven = false;
  }
}

const nothingSeen = ({ settings, terms, bytes }: ClaimRecord): Seen => ({
  settings,
  policy: terms.policy,
  maxSizeBytes: settings.maxSizeBytes ?? 2 * bytes,
  waitedMs: 0,
});

/** A clock that was set back takes nothing from what was waited. */
function waitedMs({ clock }: FindDeps, { baseSoughtMs }: ClaimRecord): number {
  return baseSoughtMs === undefined ? 0 : Math.max(0, clock.now() - baseSoughtMs);
}

async function withAnswer(
  deps: FindDeps,
  search: Search,
  seen: Seen,
  what: "head" | "restored" | "from",
): Promise<Seen> {
  const answer = await askForBase(deps, search, what);
  // Whoever still listens is to hear of it, and not that this goes on.
  if (answer.kind === "failed" && search.signal.aborted) throw answer.failure;
  const answered = { ...seen, [what]: answer };
  return what === "head" ? await withOwnHeads(deps, search, answered) : answered;
}

/** What this node has of the key by itself. */
async function withOwnHeads(deps: FindDeps, search: Search, seen: Seen): Promise<Seen> {
  const { cache } = search.record.settings;
  if (cache === undefined) return seen;
  const head = seen.head?.kind === "found" ? seen.head.found : undefined;
  const local = await localHead(deps, search, { cache, head });
  return await withKnown(deps, search, { ...seen, ...(local === undefined ? {} : { local }) });
}

/** What this node last knew of the key, where the head cannot be had. */
async function withKnown(deps: FindDeps, { record }: Search, seen: Seen): Promise<Seen> {
  const { cache } = record.settings;
  if (cache === undefined || seen.head?.kind !== "failed") return seen;
  const known = await readKnownHead(deps, cache);
  return known === undefined ? seen : { ...seen, known: toCandidate(cache, known) };
}

/** Leasing it asks for a proof of its own, which may be a while old but not for ever. */
const toCandidate = (cache: ClaimCache, { digest, ...candidate }: KnownHead) => ({
  ...candidate,
  reference: pinned(cache, digest),
  isProven: true,
});

/**
 * Whom the registry shows the head of the key may have what is to be its head. Where it shows nothing that proves
 * nothing, since some disguise a refusal so: then only who was let in as the claim was that committed it.
 */
async function localHead(
  deps: FindDeps,
  search: Search,
  { cache, head }: { readonly cache: ClaimCache; readonly head: Found | undefined },
): Promise<NonNullable<Seen["local"]> | undefined> {
  const accesses = await accessesOrNone(deps, search, cache);
  const isLetIn = head !== undefined && deps.letIn.has(search.record.volumeId, accesses);
  const boot = deps.files.bootId();
  // It will not have the key from a head that was kept from its claim: so it is no head here either.
  const isBarred = (record: ClaimRecord) => {
    const isNews = accesses.some((access) => deps.letIn.wasToldNone(record.volumeId, access));
    return head !== undefined && whyKeyless(record, boot, { ...head, isNews }) !== undefined;
  };
  const mayHave = (record: ClaimRecord) =>
    (isLetIn || deps.letIn.has(record.volumeId, accesses)) && !isBarred(record);
  const local = newestLocal(deps.claims.all.values(), cache, boot, mayHave);
  if (local === undefined) return undefined;
  const own = local.layers.slice(-1);
  const { baseBytes = deps.layers.bytesOf(local.layers.slice(0, -1)) } = local;
  const bytes = own.reduce((sum, layer) => deps.layers.bytesOver(layer, sum), baseBytes);
  return { ...local, bytes, isProven: true };
}

/** Where credentials cannot be had, nobody is let in: that is the cache's trouble, and told as such. */
export async function accessesOrNone(
  deps: FindDeps,
  search: Search,
  cache: ClaimCache,
): Promise<readonly Access[]> {
  try {
    return await accessesFor(askingOf(deps, search), cache);
  } catch (error) {
    if (isFailure(error) && !search.signal.aborted) return [];
    throw error;
  }
}

/** Broken, or gone since: as if it could not be had in the first place. */
async function without(
  deps: FindDeps,
  search: Search,
  seen: Seen,
  { origin, failure }: { readonly origin: BaseOrigin; readonly failure: Failure },
): Promise<Seen> {
  const { local, known, ...rest } = seen;
  if (origin === "local") return { ...rest, ...(known === undefined ? {} : { known }) };
  if (origin === "known") return { ...rest, ...(local === undefined ? {} : { local }) };
  const failed: Seen = { ...seen, [answerOf(origin)]: { kind: "failed", failure } };
  return origin === "head" ? await withKnown(deps, search, failed) : failed;
}

const answerOf = (origin: BaseOrigin) =>
  origin === "from" ? "from" : origin === "restore" ? "restored" : "head";
