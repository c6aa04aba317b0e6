// What a claim starts from: asks the registry what the plan wants to know, and leases what it decides on.
import type { Access } from "../core/access.ts";
import { keyTag, versionsByPrefix } from "../core/cache-key.ts";
import { readVersion } from "../core/cache-manifest.ts";
import type { ClaimBase, ClaimRecord } from "../core/claim-record.ts";
import type { Digest } from "../core/digest.ts";
import { Failure, isFailure } from "../core/failure.ts";
import { parseManifest } from "../core/manifest.ts";
import { type Answer, type BaseSeen, type Candidate, planBase } from "../core/plan-base.ts";
import { formatProgress } from "../core/progress.ts";
import { formatReference, type Reference } from "../core/reference.ts";
import type { Reader } from "../registry/reader.ts";
import type { Progress } from "../trees/pull-progress.ts";
import type { LeasedTree } from "../trees/trees.ts";
import type { ClaimDeps } from "./claim-deps.ts";
import { waitFor } from "./patience.ts";
import type { Call } from "./requests.ts";

export type FindDeps = ClaimDeps & {
  readonly reader: Pick<Reader, "resolve" | "fetchManifest">;
  /** All tags of a repository; none where it does not exist. */
  readonly listTags: (access: Access, signal: AbortSignal) => Promise<readonly string[]>;
};

type Found = Candidate & { readonly reference: Reference; readonly key?: string };

/** A base and, where it is not empty, the lease that keeps it until the Record does. */
export type BaseFound = { readonly base: ClaimBase; readonly tree?: LeasedTree };

type Search = {
  readonly record: ClaimRecord;
  readonly secrets: ReadonlyMap<string, string>;
  readonly call: Call;
};

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
      continue;
    }
    const note = plan.note === undefined ? {} : { note: plan.note };
    const { origin, isTainted, base: found } = plan;
    if (found === undefined) return { base: { layers: [], origin, isTainted, ...note } };
    const tree = await lease(deps, search, found);
    // Broken, or gone since: as if it could not be had in the first place.
    if (tree instanceof Failure) seen = { ...seen, [answerOf(origin)]: { kind: "failed", failure: tree } };
    else {
      const version = found.version === undefined ? {} : { version: found.version };
      const layers = tree.layerIds.toReversed();
      const named = { key: tree.key, digest: tree.digest };
      return { tree, base: { layers, tree: named, origin, isTainted, ...version, ...note } };
    }
  }
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
    const found = await withAccess(deps, search, repository, (access) =>
      what === "head"
        ? readCandidate(deps, access, { ...repository, tag: keyTag(cache.key) }, search.call.signal)
        : findRestored(deps, access, cache.restoreKeys, search.call.signal),
    );
    return found === undefined ? { kind: "absent" } : { kind: "found", found };
  } catch (error) {
    if (!isFailure(error) || isFailure(error, "pending")) throw error;
    return isFailure(error, "not-found") ? { kind: "absent" } : { kind: "failed", failure: error };
  }
}

/** With the first of the accesses that is let in. */
async function withAccess<T>(
  deps: FindDeps,
  { secrets, record }: Search,
  repository: Pick<Reference, "host" | "repository">,
  work: (access: Access) => Promise<T>,
): Promise<T> {
  const { plainHttp, insecure } = record.settings;
  const accesses = await deps.keyring.accessesFor(repository, Object.fromEntries(secrets));
  for (const [at, access] of accesses.entries()) {
    try {
      return await work({
        ...access,
        ...(plainHttp === undefined ? {} : { plainHttp }),
        ...(insecure === undefined ? {} : { insecure }),
      });
    } catch (error) {
      if (!isFailure(error, "denied") || at === accesses.length - 1) throw error;
    }
  }
  throw new Error("the keyring gave no access at all");
}

async function readCandidate(
  { reader }: FindDeps,
  access: Access,
  reference: Reference,
  signal: AbortSignal,
): Promise<Found> {
  const { digest } = await reader.resolve(access, reference, signal);
  const { bytes, mediaType } = await reader.fetchManifest(access, digest, signal);
  const manifest = parseManifest(bytes, { digest, mediaType });
  const named = pinned(reference, digest);
  if (manifest.kind === "index") return { reference: named, bytes: 0 };
  const { bytes: size, version, key } = readVersion(manifest);
  return {
    reference: named,
    bytes: size,
    ...(version === undefined ? {} : { version }),
    ...(key === undefined ? {} : { key }),
  };
}

const pinned = ({ host, repository }: Reference, digest: Digest): Reference => ({ host, repository, digest });

async function findRestored(
  deps: FindDeps,
  access: Access,
  prefixes: readonly string[],
  signal: AbortSignal,
): Promise<Found | undefined> {
  const tags = await deps.listTags(access, signal);
  for (const prefix of prefixes) {
    for (const { tag, isSure } of versionsByPrefix(tags, prefix)) {
      const found = await readNamed(deps, access, tag, signal);
      if (found !== undefined && (isSure || found.key?.startsWith(prefix) === true)) return found;
    }
  }
  return undefined;
}

/** A version may be pruned between the list and the look. */
async function readNamed(deps: FindDeps, access: Access, tag: string, signal: AbortSignal) {
  try {
    return await readCandidate(
      deps,
      access,
      { host: access.host, repository: access.repository, tag },
      signal,
    );
  } catch (error) {
    if (isFailure(error, "not-found")) return undefined;
    throw error;
  }
}

/** The Tree, or why it cannot be had; throws `pending`, and `full`, which is the node's trouble and not the cache's. */
async function lease(deps: FindDeps, search: Search, found: Found): Promise<LeasedTree | Failure> {
  const { settings } = search.record;
  const accesses = await deps.keyring.accessesFor(found.reference, Object.fromEntries(search.secrets));
  try {
    return await waitForTree(deps, search.call, found.reference, {
      accesses: accesses.map((access) => ({
        ...access,
        ...(settings.plainHttp === undefined ? {} : { plainHttp: settings.plainHttp }),
        ...(settings.insecure === undefined ? {} : { insecure: settings.insecure }),
      })),
      reference: found.reference,
      ...(settings.pullPolicy === undefined ? {} : { pullPolicy: settings.pullPolicy }),
      platform: settings.platform ?? deps.platform,
      ...(settings.mediaTypes === undefined ? {} : { mediaTypes: settings.mediaTypes }),
      layout: "overlay",
    });
  } catch (error) {
    if (isFailure(error) && !isFailure(error, "pending") && !isFailure(error, "full")) return error;
    throw error;
  }
}

/** The lease, or `pending` with the progress of the pull in words while the caller can still hear it. */
export async function waitForTree(
  deps: Pick<ClaimDeps, "trees" | "clock">,
  call: Call,
  named: Reference,
  request: Parameters<ClaimDeps["trees"]["lease"]>[0],
): Promise<LeasedTree> {
  let progress: Progress = { doneBytes: 0, sources: [] };
  const onProgress = (latest: Progress) => {
    progress = latest;
  };
  return await waitFor(
    deps.clock,
    call,
    () => formatProgress({ artifact: formatReference(named), ...progress }),
    (signal) => deps.trees.lease(request, { signal, onProgress }),
  );
}
