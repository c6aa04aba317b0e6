// What a claim starts from: asks the registry what the plan wants to know, and leases what it decides on.
import type { Access } from "../core/access.ts";
import { keyTag } from "../core/cache-key.ts";
import { readVersion } from "../core/cache-manifest.ts";
import type { ClaimBase, ClaimRecord } from "../core/claim-record.ts";
import type { ClaimCache } from "../core/claim-settings.ts";
import type { Digest } from "../core/digest.ts";
import { Failure, isFailure } from "../core/failure.ts";
import { isRestorable, restoreCandidates } from "../core/key-contest.ts";
import { type Index, type Manifest, parseManifest } from "../core/manifest.ts";
import { type Answer, type BaseSeen, planBase } from "../core/plan-base.ts";
import type { Reference } from "../core/reference.ts";
import { accessesFor, withAccess } from "./cache-access.ts";
import { type KnownHead, readKnownHead, writeKnownHead } from "./known-heads.ts";
import { askingOf, type FindDeps, type Found, type Leased, leaseBase, type Search } from "./lease-base.ts";
import { newestLocal } from "./local-heads.ts";

/** A base and, where it is not empty, the lease that keeps it until the Record does. */
export type BaseFound = { readonly base: ClaimBase; readonly tree?: Leased };

type Seen = BaseSeen<Found>;

/**
 * The base of a claim that has none yet. Trouble with a cache becomes a taint and a note once `base-deadline` has
 * passed, never a failure, unless the claim says it must have it. Failures of what is tried until then; `pending`.
 */
export async function findBase(deps: FindDeps, search: Search): Promise<BaseFound> {
  const { record } = search;
  let seen: Seen = {
    settings: record.settings,
    policy: record.terms.policy,
    maxSizeBytes: record.settings.maxSizeBytes ?? 2 * record.bytes,
    waitedMs: deps.clock.now() - (record.baseSoughtMs ?? deps.clock.now()),
  };
  for (;;) {
    const plan = planBase(seen);
    if (plan.kind === "fail") throw plan.failure;
    if (plan.kind === "ask") {
      seen = { ...seen, [plan.what]: await ask(deps, search, plan.what) };
      if (plan.what === "head") seen = await withOwnHeads(deps, search, seen);
      continue;
    }
    const note = plan.note === undefined ? {} : { note: plan.note };
    const { origin, isTainted, base: found } = plan;
    if (found === undefined) return { base: { layers: [], origin, isTainted, ...note } };
    const tree = await leaseBase(deps, search, found);
    if (tree instanceof Failure) {
      seen = without(seen, origin, tree);
      continue;
    }
    if (origin === "head") await noteHead(deps, record, found);
    const version = found.version === undefined ? {} : { version: found.version };
    return { tree, base: { ...contentOf(tree, found), origin, isTainted, ...version, ...note } };
  }
}

/** What this node has of the key by itself. */
async function withOwnHeads(deps: FindDeps, search: Search, seen: Seen): Promise<Seen> {
  const { cache } = search.record.settings;
  if (cache === undefined) return seen;
  const local = await localHead(deps, search, { cache, isShown: seen.head?.kind === "found" });
  const known = seen.head?.kind === "failed" ? await readKnownHead(deps, cache) : undefined;
  return {
    ...seen,
    ...(local === undefined ? {} : { local }),
    ...(known === undefined ? {} : { known: toCandidate(cache, known) }),
  };
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
  { cache, isShown }: { readonly cache: ClaimCache; readonly isShown: boolean },
): Promise<NonNullable<Seen["local"]> | undefined> {
  const accesses = await accessesFor(askingOf(deps, search), cache);
  const isLetIn = isShown && deps.letIn.has(search.record.volumeId, accesses);
  const mayHave = ({ volumeId }: ClaimRecord) => isLetIn || deps.letIn.has(volumeId, accesses);
  const local = newestLocal(deps.claims.all.values(), cache, deps.files.bootId(), mayHave);
  if (local === undefined) return undefined;
  return { ...local, bytes: deps.layers.bytesOf(local.layers), isProven: true };
}

/** Broken, or gone since: as if it could not be had in the first place. */
function without(seen: Seen, origin: ClaimBase["origin"], failure: Failure): Seen {
  const { local, known, ...rest } = seen;
  if (origin === "local") return { ...rest, ...(known === undefined ? {} : { known }) };
  if (origin === "known") return { ...rest, ...(local === undefined ? {} : { local }) };
  return { ...seen, [answerOf(origin)]: { kind: "failed", failure } };
}

function contentOf({ key, digest, layerIds }: Leased, found: Found): Pick<ClaimBase, "layers" | "tree"> {
  if (found.reference === undefined) return { layers: found.layers };
  const tree = key === undefined || digest === undefined ? {} : { tree: { key, digest } };
  return { layers: layerIds?.toReversed() ?? [], ...tree };
}

/** For when the registry cannot be asked. */
async function noteHead(deps: FindDeps, { settings: { cache } }: ClaimRecord, found: Found): Promise<void> {
  const { reference, bytes, version } = found;
  if (cache === undefined || reference?.digest === undefined) return;
  if ((await readKnownHead(deps, cache))?.digest === reference.digest) return;
  const known = { digest: reference.digest, bytes, ...(version === undefined ? {} : { version }) };
  await writeKnownHead(deps, cache, known);
}

const answerOf = (origin: ClaimBase["origin"]) =>
  origin === "from" ? "from" : origin === "restore" ? "restored" : "head";

async function ask(
  deps: FindDeps,
  search: Search,
  what: "head" | "restored" | "from",
): Promise<Answer<Found>> {
  const { cache, from } = search.record.settings;
  try {
    if (what === "from" && from !== undefined) {
      // What it means is asked when it is leased, by its pull policy.
      return { kind: "found", found: { reference: from, bytes: 0 } };
    }
    if (cache === undefined) return { kind: "absent" };
    const repository = { host: cache.host, repository: cache.repository };
    const { signal } = search.call;
    const found = await withAccess(askingOf(deps, search), repository, async (access) =>
      what === "head"
        ? await readHead(deps, search, access, keyTag(cache.key))
        : await findRestored(deps, access, cache.restoreKeys, signal),
    );
    return found === undefined ? { kind: "absent" } : { kind: "found", found };
  } catch (error) {
    if (!isFailure(error) || isFailure(error, "pending")) throw error;
    return isFailure(error, "not-found") ? { kind: "absent" } : { kind: "failed", failure: error };
  }
}

/** Whatever the registry itself answers, but a refusal: this access was let in. */
async function readHead(
  deps: FindDeps,
  { record, call }: Search,
  access: Access,
  tag: string,
): Promise<Found | undefined> {
  try {
    const { found, isMirrors } = await readCandidate(deps, access, tag, call.signal);
    if (!isMirrors) deps.letIn.note(record.volumeId, access);
    return found;
  } catch (error) {
    if (!isFailure(error, "not-found")) throw error;
    deps.letIn.note(record.volumeId, access);
    return undefined;
  }
}

async function readCandidate(
  { trees }: FindDeps,
  access: Access,
  tag: string,
  signal: AbortSignal,
): Promise<{ readonly found: Found; readonly manifest: Manifest | Index; readonly isMirrors: boolean }> {
  const { host, repository } = access;
  const fetched = await trees.fetchTag(access, { host, repository, tag }, signal);
  const { bytes, mediaType, digest, source } = fetched;
  const manifest = parseManifest(bytes, { digest, mediaType });
  const named = pinned(access, digest);
  const isMirrors = source.kind === "mirror";
  if (manifest.kind === "index") return { found: { reference: named, bytes: 0 }, manifest, isMirrors };
  const { bytes: size, version } = readVersion(manifest);
  const found = { reference: named, bytes: size, ...(version === undefined ? {} : { version }) };
  return { found, manifest, isMirrors };
}

const pinned = ({ host, repository }: Pick<Reference, "host" | "repository">, digest: Digest): Reference => ({
  host,
  repository,
  digest,
});

async function findRestored(
  deps: FindDeps,
  access: Access,
  restoreKeys: readonly string[],
  signal: AbortSignal,
): Promise<Found | undefined> {
  const tags = await deps.listTags(access, signal);
  for (const { tag, prefix } of restoreCandidates(tags, restoreKeys)) {
    const named = await readNamed(deps, access, tag, signal);
    if (named?.manifest.kind === "manifest" && isRestorable(prefix, named.manifest)) return named.found;
  }
  return undefined;
}

/** A version may be pruned between the list and the look. */
async function readNamed(deps: FindDeps, access: Access, tag: string, signal: AbortSignal) {
  try {
    return await readCandidate(deps, access, tag, signal);
  } catch (error) {
    if (isFailure(error, "not-found")) return undefined;
    throw error;
  }
}
