// Brings what a claim is to start from: a Tree of a registry, or Layers that a claim of this node committed.
import type { Trimmer } from "../archive/trimmer.ts";
import type { Access } from "../core/access.ts";
import type { ClaimRecord } from "../core/claim-record.ts";
import type { Digest } from "../core/digest.ts";
import { Failure, isFailure } from "../core/failure.ts";
import type { Candidate } from "../core/plan-base.ts";
import { formatProgress } from "../core/progress.ts";
import { formatReference, type Reference } from "../core/reference.ts";
import type { ClaimLayers } from "../trees/claim-layers.ts";
import type { Progress } from "../trees/pull-progress.ts";
import type { LeasedTree, TreeRequest } from "../trees/tree-request.ts";
import { accessesFor } from "./cache-access.ts";
import type { ClaimDeps } from "./claim-deps.ts";
import type { HeadTurns } from "./known-heads.ts";
import type { LayerUse } from "./layer-use.ts";
import type { LetIn } from "./let-in.ts";
import { finishTrims, refuseHalfTrimmed } from "./trim-claim.ts";

export type FindDeps = ClaimDeps &
  HeadTurns & {
    /** All tags of a repository; none where it does not exist. */
    readonly listTags: (access: Access, signal: AbortSignal) => Promise<readonly string[]>;
    readonly layers: Pick<ClaimLayers, "bytesOf" | "bytesOver">;
    readonly use: LayerUse;
    readonly letIn: LetIn;
    readonly trimmer: Trimmer;
    /** Aborted when the plugin stops. */
    readonly signal: AbortSignal;
  };

/** In a registry, or Layers of this node, the lowest first. */
export type Found = Candidate &
  (
    | { readonly reference: Reference }
    | { readonly reference?: undefined; readonly layers: readonly Digest[] }
  );

/** Stays until it is disposed of; a Record names it by then. */
export type Leased = Disposable & Pick<LeasedTree, "layers"> & Partial<LeasedTree>;

export type Search = {
  readonly record: ClaimRecord;
  readonly secrets: ReadonlyMap<string, string>;
  /** Aborted when nobody waits for the base any more. */
  readonly signal: AbortSignal;
  /** Aborted then, or with a Failure before that once registries and credential plugins were asked for long enough. */
  readonly asking: AbortSignal;
  /** Told in words what is being waited for. */
  readonly tell: (words: string) => void;
};

export const askingOf = ({ keyring }: FindDeps, { secrets, asking, record: { settings } }: Search) => ({
  keyring,
  settings,
  secrets,
  signal: asking,
});

type Wanted = Pick<TreeRequest, "reference" | "pullPolicy">;

const wantedOf = (reference: Reference, { settings: { pullPolicy } }: ClaimRecord): Wanted => ({
  reference,
  ...(pullPolicy === undefined ? {} : { pullPolicy }),
});

/** The Tree, or why it cannot be had; throws `pending`, and `full`, which is the node's trouble and not the cache's. */
export async function leaseBase(deps: FindDeps, search: Search, found: Found): Promise<Leased | Failure> {
  const { reference } = found;
  if (reference === undefined) return await leaseOwn(deps, search, found.layers);
  return await orTrouble(() => leaseTree(deps, search, wantedOf(reference, search.record)));
}

/** As leaseBase(), for a later call to lease: its pull is in the air, where there is anything to pull. */
export async function beginBase(
  deps: FindDeps,
  search: Search,
  { reference }: Found,
): Promise<undefined | Failure> {
  if (reference === undefined) return undefined;
  return await orTrouble(async () => {
    const request = await requestOf(deps, search, wantedOf(reference, search.record));
    await deps.trees.begin(request, search.asking);
    return undefined;
  });
}

async function orTrouble<T>(work: () => Promise<T>): Promise<T | Failure> {
  try {
    return await work();
  } catch (error) {
    if (isFailure(error) && !isFailure(error, "pending") && !isFailure(error, "full")) return error;
    throw error;
  }
}

/** With the progress of its pull told in words. */
export async function leaseTree(deps: FindDeps, search: Search, wanted: Wanted): Promise<LeasedTree> {
  const artifact = formatReference(wanted.reference);
  search.tell(`Pulling ${artifact}: asking the node's credential providers`);
  const request = await requestOf(deps, search, wanted);
  const onProgress = (progress: Progress) => search.tell(formatProgress({ artifact, ...progress }));
  onProgress({ doneBytes: 0, sources: [] });
  const { signal, asking } = search;
  return await deps.trees.lease(request, { signal, asking, onProgress });
}

async function requestOf(deps: FindDeps, search: Search, wanted: Wanted): Promise<TreeRequest> {
  const { mediaTypes, platform = deps.platform } = search.record.settings;
  const accesses = await accessesFor(askingOf(deps, search), wanted.reference);
  const taken = mediaTypes === undefined ? {} : { mediaTypes };
  return { ...wanted, accesses, platform, layout: "overlay", ...taken };
}

/** Layers of this node, kept as they are until the Record names them. */
async function leaseOwn(
  deps: FindDeps,
  { signal, record: { volumeId } }: Search,
  ids: readonly Digest[],
): Promise<Leased | Failure> {
  const { trees } = deps;
  const start = await startFrom(deps, ids);
  if (start instanceof Failure) return start;
  if (signal.aborted) start[Symbol.dispose]();
  signal.throwIfAborted();
  // No wait from here on: the next call for the volume holds them under the same name.
  const holder = `start ${volumeId}`;
  trees.hold(holder, ids);
  const letGo = () => {
    start[Symbol.dispose]();
    trees.letGo(holder);
  };
  const layers = trees.contents(ids);
  if (layers !== undefined) return { layers, [Symbol.dispose]: letGo };
  letGo();
  return new Failure(
    "unavailable",
    "Cannot start from a head of this node: its layers are gone; start again",
  );
}

/** Nobody trims these Layers until it is disposed of, and none is half trimmed; else why not. */
async function startFrom(deps: FindDeps, ids: readonly Digest[]): Promise<Disposable | Failure> {
  let start: Disposable | undefined;
  try {
    await finishTrims(deps, ids, "hasty");
    start = await deps.use.start(ids);
    // One that began since then may have failed.
    refuseHalfTrimmed(deps, ids);
    return start;
  } catch (error) {
    start?.[Symbol.dispose]();
    if (isFailure(error)) return error;
    throw error;
  }
}
