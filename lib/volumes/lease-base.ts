// Brings what a claim is to start from: a Tree of a registry, or Layers that a claim of this node committed.
import type { Access } from "../core/access.ts";
import type { ClaimRecord } from "../core/claim-record.ts";
import type { Digest } from "../core/digest.ts";
import { Failure, isFailure } from "../core/failure.ts";
import type { Candidate } from "../core/plan-base.ts";
import { formatProgress } from "../core/progress.ts";
import { formatReference, type Reference } from "../core/reference.ts";
import type { ClaimLayers } from "../trees/claim-layers.ts";
import type { Progress } from "../trees/pull-progress.ts";
import type { LeasedTree } from "../trees/trees.ts";
import { accessesFor } from "./cache-access.ts";
import type { ClaimDeps } from "./claim-deps.ts";
import type { LayerUse } from "./layer-use.ts";
import type { LetIn } from "./let-in.ts";
import { waitFor } from "./patience.ts";
import type { Call } from "./requests.ts";
import { finishTrims } from "./trim-claim.ts";

export type FindDeps = ClaimDeps & {
  /** All tags of a repository; none where it does not exist. */
  readonly listTags: (access: Access, signal: AbortSignal) => Promise<readonly string[]>;
  readonly layers: Pick<ClaimLayers, "bytesOf">;
  readonly use: LayerUse;
  readonly letIn: LetIn;
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
  readonly call: Call;
};

export const askingOf = ({ keyring }: FindDeps, { secrets, record: { settings } }: Search) => ({
  keyring,
  settings,
  secrets,
});

/** The Tree, or why it cannot be had; throws `pending`, and `full`, which is the node's trouble and not the cache's. */
export async function leaseBase(deps: FindDeps, search: Search, found: Found): Promise<Leased | Failure> {
  if (found.reference === undefined) return await leaseOwn(deps, search.record, found.layers);
  const { settings } = search.record;
  try {
    return await waitForTree(deps, search.call, found.reference, {
      accesses: await accessesFor(askingOf(deps, search), found.reference),
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

/** Layers of this node, kept as they are until the Record names them. */
async function leaseOwn(
  deps: FindDeps,
  { volumeId }: ClaimRecord,
  ids: readonly Digest[],
): Promise<Leased | Failure> {
  const { trees, use } = deps;
  try {
    await finishTrims(deps, ids);
  } catch (error) {
    if (isFailure(error)) return error;
    throw error;
  }
  const holder = `start ${volumeId}`;
  trees.hold(holder, ids);
  const start = await use.start(ids);
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
