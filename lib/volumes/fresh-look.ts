// Whether what registries said when a claim was made is taken for what they would say at its first stage.

import type { KeyAnswer } from "../core/base-look.ts";
import { compareVersions } from "../core/cache-key.ts";
import type { ClaimCache } from "../core/claim-settings.ts";
import type { Answer } from "../core/plan-base.ts";
import { pinned } from "./ask-for-base.ts";
import { accessesOrNone, type CacheAnswers } from "./choose-base.ts";
import { readKnownHead } from "./known-heads.ts";
import type { FindDeps, Found, Search } from "./lease-base.ts";

/** Kubernetes stages a claim that a pod waits for within seconds; what others write back meanwhile it would hardly see. */
const FRESH_MS = 60_000;

/**
 * The answers that the claim's look got, where they are young, the registry gave them to credentials that this search
 * has too, and this node has not written the key since; else none, and all is asked for.
 */
export async function freshAnswers(deps: FindDeps, search: Search): Promise<CacheAnswers> {
  const { look, settings, volumeId } = search.record;
  const { cache } = settings;
  if (cache === undefined || look?.head === undefined) return {};
  const ageMs = deps.clock.now() - look.atMs;
  if (ageMs < 0 || ageMs >= FRESH_MS) return {};
  if (!deps.letIn.has(volumeId, await accessesOrNone(deps, search, cache))) return {};
  if (await isWritten(deps, cache, look.head)) return {};
  const { head, restored } = look;
  return {
    head: toAnswer(cache, head),
    ...(restored === undefined ? {} : { restored: toAnswer(cache, restored) }),
  };
}

/** By a claim of this node, which the next one here is to see. */
async function isWritten(deps: FindDeps, cache: ClaimCache, head: KeyAnswer): Promise<boolean> {
  const known = await readKnownHead(deps, cache);
  if (known === undefined) return false;
  if (head.kind === "absent" || head.version === undefined)
    return head.kind === "absent" || known.digest !== head.digest;
  return known.version !== undefined && compareVersions(known.version, head.version) > 0;
}

function toAnswer(cache: ClaimCache, answer: KeyAnswer): Answer<Found> {
  if (answer.kind === "absent") return answer;
  const { digest, bytes, version } = answer;
  const found = { reference: pinned(cache, digest), bytes, ...(version === undefined ? {} : { version }) };
  return { kind: "found", found };
}
