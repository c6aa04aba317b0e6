// What registries say of a claim's Cache: its key's head, and the versions that its restore keys find.
import type { Access } from "../core/access.ts";
import { keyTag } from "../core/cache-key.ts";
import { readVersion } from "../core/cache-manifest.ts";
import type { Digest } from "../core/digest.ts";
import { isFailure, type Reason } from "../core/failure.ts";
import { isRestorable, restoreCandidates } from "../core/key-contest.ts";
import { type Index, type Manifest, parseManifest } from "../core/manifest.ts";
import type { Answer } from "../core/plan-base.ts";
import type { Reference } from "../core/reference.ts";
import { withAccess } from "./cache-access.ts";
import { askingOf, type FindDeps, type Found, type Search } from "./lease-base.ts";

/** Whatever fails is an answer, too; throws `pending`. */
export async function askForBase(
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
    const { asking } = search;
    const found = await withAccess(askingOf(deps, search), repository, async (access) =>
      what === "head"
        ? await readHead(deps, search, access, keyTag(cache.key))
        : await findRestored(deps, access, cache.restoreKeys, asking),
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
  { record, asking }: Search,
  access: Access,
  tag: string,
): Promise<Found> {
  try {
    const { found } = await readCandidate(deps, access, tag, asking);
    deps.letIn.note(record.volumeId, access, "head");
    return found;
  } catch (error) {
    if (isFailure(error, "not-found")) deps.letIn.note(record.volumeId, access, "none");
    throw error;
  }
}

async function readCandidate(
  { trees }: FindDeps,
  access: Access,
  tag: string,
  signal: AbortSignal,
): Promise<{ readonly found: Found; readonly manifest: Manifest | Index }> {
  const { host, repository } = access;
  const fetched = await trees.fetchTag(access, { host, repository, tag }, signal);
  const { bytes, mediaType, digest } = fetched;
  const manifest = parseManifest(bytes, { digest, mediaType });
  const named = pinned(access, digest);
  if (manifest.kind === "index") return { found: { reference: named, bytes: 0 }, manifest };
  const { bytes: size, version } = readVersion(manifest);
  const found = { reference: named, bytes: size, ...(version === undefined ? {} : { version }) };
  return { found, manifest };
}

/** The manifest itself, wherever the tag goes. */
export const pinned = (
  { host, repository }: Pick<Reference, "host" | "repository">,
  digest: Digest,
): Reference => ({
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

const NO_VERSION: readonly Reason[] = ["not-found", "invalid", "unsupported"];

/** A version may be pruned between the list and the look; and what cannot be read is none of ours, whatever its tag. */
async function readNamed(deps: FindDeps, access: Access, tag: string, signal: AbortSignal) {
  try {
    return await readCandidate(deps, access, tag, signal);
  } catch (error) {
    if (isFailure(error) && NO_VERSION.includes(error.reason)) return undefined;
    throw error;
  }
}
