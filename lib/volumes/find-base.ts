// What a claim starts from when it is first staged: leases what is decided on, for its Record to fix.
import type { ClaimBase, ClaimRecord } from "../core/claim-record.ts";
import { chooseBase } from "./choose-base.ts";
import { freshAnswers } from "./fresh-look.ts";
import { type KnownHead, readKnownHead, writeKnownHead } from "./known-heads.ts";
import { type FindDeps, type Found, type Leased, leaseBase, type Search } from "./lease-base.ts";

/** A base and, where it is not empty, the lease that keeps it until the Record does. */
export type BaseFound = Disposable & { readonly base: ClaimBase; readonly tree?: Leased };

export const toBaseFound = (base: ClaimBase, tree?: Leased): BaseFound => ({
  base,
  ...(tree === undefined ? {} : { tree }),
  [Symbol.dispose]: () => tree?.[Symbol.dispose](),
});

/** The base of a claim that has none yet, leased. Failures as chooseBase(). */
export async function findBase(deps: FindDeps, search: Search): Promise<BaseFound> {
  const known = await knownTo(deps, search.record);
  const answers = await freshAnswers(deps, search);
  const attempt = async (found: Found) => await leaseBase(deps, search, found);
  const choice = await chooseBase(deps, search, { answers, attempt });
  const { origin, isTainted, base: found, tried: tree } = choice;
  const note = choice.note === undefined ? {} : { note: choice.note };
  const seen = choice.answers.head?.kind === "absent" ? ({ isHeadAbsent: true } as const) : {};
  if (found === undefined || tree === undefined) {
    const after = choice.after === undefined ? {} : { version: choice.after };
    return toBaseFound({ layers: [], origin, isTainted, ...seen, ...after, ...note });
  }
  if (origin === "head") await noteHead(deps, search.record, found, known);
  // Others than Larder tell nothing of how much they hold.
  const { version, bytes } = found;
  const told = version === undefined ? {} : { version, bytes };
  return toBaseFound({ ...contentOf(tree, found), origin, isTainted, ...seen, ...told, ...note }, tree);
}

function contentOf({ key, digest, layerIds }: Leased, found: Found): Pick<ClaimBase, "layers" | "tree"> {
  if (found.reference === undefined) return { layers: found.layers };
  const tree = key === undefined || digest === undefined ? {} : { tree: { key, digest } };
  return { layers: layerIds?.toReversed() ?? [], ...tree };
}

const knownTo = async (deps: FindDeps, { settings: { cache } }: ClaimRecord) =>
  cache === undefined ? undefined : await readKnownHead(deps, cache);

/** For when the registry cannot be asked. What a claim wrote back since `before` was read is newer than its answer. */
async function noteHead(
  deps: FindDeps,
  { settings: { cache } }: ClaimRecord,
  { reference, bytes, version }: Found,
  before: KnownHead | undefined,
): Promise<void> {
  if (cache === undefined || reference?.digest === undefined || before?.digest === reference.digest) return;
  const head = { digest: reference.digest, bytes, ...(version === undefined ? {} : { version }) };
  await writeKnownHead(deps, cache, head, (known) => known?.digest === before?.digest);
}
