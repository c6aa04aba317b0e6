// Brings Layers of a claim's base back: a power loss takes those that were not synced yet.
import type { ClaimRecord } from "../core/claim-record.ts";
import { isFailure } from "../core/failure.ts";
import type { Reference } from "../core/reference.ts";
import type { LeasedTree } from "../trees/tree-request.ts";
import { type FindDeps, leaseTree, type Search } from "./lease-base.ts";

/**
 * The Tree that the base was, where any registry has it still; undefined where none has, which is for those to tell who
 * need it. Failures: those of a pull.
 */
export async function leaseFixedBase(deps: FindDeps, search: Search): Promise<LeasedTree | undefined> {
  const reference = referenceOf(search.record);
  if (reference === undefined) return undefined;
  try {
    return await leaseTree(deps, search, { reference });
  } catch (error) {
    if (!isFailure(error, "not-found")) throw error;
    return undefined;
  }
}

function referenceOf({ base, settings: { from, cache } }: ClaimRecord): Reference | undefined {
  const place = base?.origin === "from" ? from : cache;
  if (place === undefined || base?.tree === undefined) return undefined;
  return { host: place.host, repository: place.repository, digest: base.tree.digest };
}

/** As the call brought them that began the write-back, which hears how far it is. */
type Told = Pick<Search, "secrets" | "tell">;

/** For a write-back: the base is here when it resolves, where it can be had; the Record keeps it. */
export async function returnBase(
  deps: FindDeps,
  record: ClaimRecord,
  { secrets, tell }: Told,
): Promise<void> {
  if (deps.trees.contents(record.base?.layers ?? []) !== undefined) return;
  const { signal } = deps;
  const tree = await leaseFixedBase(deps, { record, secrets, tell, signal, asking: signal });
  tree?.[Symbol.dispose]();
}
