// Takes out of a committed Layer what its archive leaves out: to the end, whoever comes first after a crash in between.
import path from "node:path";
import { areTrimsSealed, sealTrims, unsealTrims } from "../archive/trim-journal.ts";
import { trimLayer } from "../archive/trim-layer.ts";
import type { ClaimRecord } from "../core/claim-record.ts";
import type { Digest } from "../core/digest.ts";
import type { ClaimDeps } from "./claim-deps.ts";
import { placesOf } from "./claim-disk.ts";
import type { LayerUse } from "./layer-use.ts";

export type TrimDeps = Pick<ClaimDeps, "root" | "claims" | "trees"> & { readonly use: LayerUse };

/** Where a claim's change is packed to, its journal of trims included. */
export const packedOf = (root: string, record: ClaimRecord): string =>
  path.join(placesOf(root, record).directory, "packed");

/**
 * Trims by the journal that packing just wrote, and whether it did: not where a claim is based on the Layer, or begins
 * to be. From the first step on the journal is known to be whole, so that finishTrims() can go on with it.
 */
export async function trimClaim(deps: TrimDeps, record: ClaimRecord): Promise<boolean> {
  const journal = packedOf(deps.root, record);
  return await apply(deps, record, async () => await sealTrims(journal));
}

/** None of these Layers is half trimmed when it resolves: in that state lists of an opaque directory may lead nowhere. */
export async function finishTrims(deps: TrimDeps, layers: readonly Digest[]): Promise<void> {
  for (const record of deps.claims.all.values()) {
    const layer = record.commit?.layer;
    if (layer === undefined || !layers.includes(layer)) continue;
    if (areTrimsSealed(packedOf(deps.root, record))) await apply(deps, record, async () => undefined);
  }
}

async function apply(deps: TrimDeps, record: ClaimRecord, begin: () => Promise<void>): Promise<boolean> {
  const { root, claims, trees, use } = deps;
  const layer = record.commit?.layer;
  const [content] = layer === undefined ? [] : (trees.contents([layer]) ?? []);
  if (layer === undefined || content === undefined) return false;
  const isBase = () => [...claims.all.values()].some(({ base }) => base?.layers.includes(layer) === true);
  const journal = packedOf(root, record);
  return await use.trim(layer, isBase, async () => {
    await begin();
    await trimLayer(content, journal);
    await unsealTrims(journal);
  });
}
