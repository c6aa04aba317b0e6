// Takes out of a committed Layer what its archive leaves out: to the end, whoever comes first after a crash in between.
import path from "node:path";
import { isLeavings } from "../archive/leavings.ts";
import { areTrimsSealed, sealTrims, unsealTrims } from "../archive/trim-journal.ts";
import type { Trimmer } from "../archive/trimmer.ts";
import type { ClaimRecord } from "../core/claim-record.ts";
import type { Digest } from "../core/digest.ts";
import { Failure } from "../core/failure.ts";
import type { ClaimDeps } from "./claim-deps.ts";
import { placesOf } from "./claim-disk.ts";
import type { LayerUse } from "./layer-use.ts";

export type TrimDeps = Pick<ClaimDeps, "files" | "root" | "claims" | "trees" | "discard"> & {
  readonly use: LayerUse;
  readonly trimmer: Trimmer;
  /** Aborted when the plugin stops. */
  readonly signal: AbortSignal;
};

/** Where a claim's change is packed to, its journal of trims included. */
export const packedOf = (root: string, record: ClaimRecord): string =>
  path.join(placesOf(root, record).directory, "packed");

/**
 * Trims by the journal that packing just wrote, in a thread, while others go on: it is sealed when this resolves, so
 * that finishTrims() can join it, or go on with it after a crash. `onEnd` is told whether all of it was done: not where
 * a claim is based on the Layer, or begins to be.
 */
export async function beginTrim(
  deps: TrimDeps,
  record: ClaimRecord,
  onEnd: (isWhole: boolean) => Promise<void>,
): Promise<void> {
  const sealed = Promise.withResolvers<"sealed">();
  const begin = async () => {
    await sealTrims(packedOf(deps.root, record));
    sealed.resolve("sealed");
  };
  const trimming = apply(deps, record, { isBegun: false, begin, onEnd });
  // Until somebody waits for it, it is nobody's.
  trimming.catch(() => undefined);
  if ((await Promise.race([sealed.promise, trimming])) === false) await onEnd(false);
}

/**
 * None of these Layers is half trimmed when it resolves: in that state lists of an opaque directory may lead nowhere.
 * In haste what nobody sees is left undone. Failures: those of trimming; `unavailable` where it cannot be ended now.
 */
export async function finishTrims(
  deps: TrimDeps,
  layers: readonly Digest[],
  pace: "whole" | "hasty" = "whole",
): Promise<void> {
  for (const record of deps.claims.all.values()) {
    const layer = record.commit?.layer;
    if (layer === undefined || !layers.includes(layer)) continue;
    if (!areTrimsSealed(packedOf(deps.root, record))) continue;
    const trimming = apply(deps, record, { isBegun: true });
    if (pace === "hasty") deps.use.hasten(layer);
    await trimming;
    refuseHalfTrimmed(deps, [layer]);
  }
}

/** Throws `unavailable` where one of these Layers, which nobody trims now, is half trimmed: what trimmed it failed. */
export function refuseHalfTrimmed(
  { claims, root }: Pick<TrimDeps, "claims" | "root">,
  layers: readonly Digest[],
): void {
  for (const record of claims.all.values()) {
    const layer = record.commit?.layer;
    if (layer === undefined || !layers.includes(layer) || !areTrimsSealed(packedOf(root, record))) continue;
    throw new Failure(
      "unavailable",
      `Cannot use what the volume "${record.volumeId}" wrote: taking out of it what its base has did not come to an end; try again`,
    );
  }
}

type Trimming = {
  readonly isBegun: boolean;
  readonly begin?: () => Promise<void>;
  readonly onEnd?: (isWhole: boolean) => Promise<void>;
};

async function apply(
  deps: TrimDeps,
  record: ClaimRecord,
  { isBegun, begin, onEnd }: Trimming,
): Promise<boolean> {
  const { root, claims, trees, use, trimmer, signal } = deps;
  const layer = record.commit?.layer;
  const [content] = layer === undefined ? [] : (trees.contents([layer]) ?? []);
  if (layer === undefined || content === undefined) return false;
  const isBase = () => [...claims.all.values()].some(({ base }) => base?.layers.includes(layer) === true);
  const journal = packedOf(root, record);
  return await use.trim(layer, isBase, async (haste) => {
    await begin?.();
    const isWhole = await trimmer.trim({ layer: content, journal, isBegun }, { signal, haste });
    await clearLeavings(deps, journal);
    await onEnd?.(isWhole);
    await unsealTrims(journal);
    return isWhole;
  });
}

/** What was taken out of the Layer goes behind, whether or not the push comes to an end. */
async function clearLeavings({ files, discard }: TrimDeps, journal: string): Promise<void> {
  for (const { name } of await files.list(journal))
    if (isLeavings(name)) await discard(path.join(journal, name));
}
