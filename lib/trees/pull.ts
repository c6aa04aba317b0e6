// One pull: from the digest a Reference means to the Tree in place, whose bytes all came from the asker's registry.

import path from "node:path";
import { type Digest, digestOf } from "../core/digest.ts";
import type { LayerPlan, TreePlan } from "../core/layer-plan.ts";
import { planTree } from "../core/plan-tree.ts";
import type { Platform } from "../core/platform.ts";
import type { Files } from "../host/files.ts";
import type { Reader } from "../registry/reader.ts";
import { readArtifact } from "./artifact.ts";
import type { Asker } from "./blobs.ts";
import type { Budget } from "./budget.ts";
import { toDiskFailure } from "./disk-failure.ts";
import type { Ingest } from "./ingest.ts";
import type { Inventory } from "./inventory.ts";
import type { Layer, StoredBlob } from "./layer.ts";
import { type Layout, partialName } from "./layout.ts";
import { registryOf } from "./permission.ts";
import type { ProgressMeter } from "./pull-progress.ts";
import { formatTree, type Tree } from "./tree.ts";

export type PullDeps = {
  readonly reader: Reader;
  readonly ingest: Ingest;
  readonly inventory: Inventory;
  readonly budget: Budget;
  readonly layout: Layout;
  readonly files: Files;
  /** Merges layers, topmost first, into the missing directory `to`; returns what that takes beside shared blocks. */
  readonly assemble: (layers: readonly string[], to: string) => Promise<{ bytes: number; inodes: number }>;
  readonly closing: AbortSignal;
  readonly now: () => number;
  readonly keepSetuid: boolean;
  readonly onStep: (step: string) => Promise<void>;
};

export type Wanted = {
  readonly key: Digest;
  readonly digest: Digest;
  readonly platform: Platform;
  readonly mediaTypes?: readonly string[];
  readonly layout: "overlay" | "copy";
  /** The Reference, for messages. */
  readonly name: string;
};

/** More than this, and an overlay's options and lookups cost more than one directory does. */
const maxOverlayLayers = 200;

/** Ensures that the Tree is in place and that its manifest and all its bytes came from the asker's registry. */
export async function pullTree(
  deps: PullDeps,
  asker: Asker,
  wanted: Wanted,
  meter: ProgressMeter,
): Promise<void> {
  const { reader, inventory, keepSetuid, closing, onStep } = deps;
  reader.warm();
  meter.troubledBy(() => reader.troubleOf(asker.access));
  const { manifest, config } = await readArtifact(reader, asker.access, wanted, closing);
  const { mediaTypes, name } = wanted;
  const plan = planTree(manifest, config, {
    keepSetuid,
    artifact: name,
    ...(mediaTypes === undefined ? {} : { mediaTypes }),
  });
  await onStep("manifest read");
  const ids = plan.layers.map(({ id }) => id);
  const merged = toMergedId(wanted, ids);
  using _pin = inventory.pin([wanted.key, ...ids, ...(merged === undefined ? [] : [merged])]);
  const whole = merged === undefined ? undefined : inventory.layers.get(merged);
  if (whole !== undefined) await proveWhole(deps, asker, whole);
  else {
    await bringLayers(deps, asker, plan, { meter, name });
    if (merged !== undefined) await makeMerged(deps, asker, merged, ids);
  }
  await putTree(deps, registryOf(asker.access), wanted, {
    notes: plan.notes,
    layers: merged === undefined ? ids : [merged],
  });
  await onStep("tree in place");
}

/** The id of the one directory that stands for all the Layers, where they are not to be stacked. */
function toMergedId({ layout }: Wanted, ids: readonly Digest[]): Digest | undefined {
  const merges = ids.length > 1 && (layout === "copy" || ids.length > maxOverlayLayers);
  return merges ? digestOf(JSON.stringify(["assembled", 1, ids])) : undefined;
}

async function proveWhole({ ingest }: PullDeps, asker: Asker, layer: Layer): Promise<void> {
  if (!ingest.has(layer.id, registryOf(asker.access))) await ingest.prove(asker, layer);
}

/** All at once; each settles when those beneath it have. The first that fails is told at once, the others fly on. */
async function bringLayers(
  deps: PullDeps,
  asker: Asker,
  plan: TreePlan,
  told: { readonly meter: ProgressMeter; readonly name: string },
): Promise<void> {
  const registry = registryOf(asker.access);
  const missing = plan.layers.filter(({ id }) => !deps.ingest.has(id, registry));
  told.meter.expect(missing.flatMap(blobsOf));
  const partials = partialsOf(deps, registry, missing);
  using _kept = deps.inventory.pin([...partials.keys()]);
  await deps.budget.ensure(missingBytes(deps, partials), told.name);
  await deps.onStep("room found");
  const made: Array<Promise<void>> = [];
  for (const [index, layer] of plan.layers.entries()) {
    const below = async () => {
      await Promise.all(made.slice(0, index));
      return plan.layers
        .slice(0, index)
        .map(({ id }) => id)
        .toReversed();
    };
    made.push(deps.ingest.ensure(asker, layer, below).then(() => told.meter.finish(blobsOf(layer))));
  }
  await Promise.all(made);
}

/** The partials in which the blobs of these Layers will come, by name, with the blobs' sizes. */
function partialsOf(
  { inventory }: PullDeps,
  registry: string,
  layers: readonly LayerPlan[],
): ReadonlyMap<string, number> {
  const named = layers.flatMap((layer) => {
    // One that is here, from another registry, is sent again as a proof.
    const isProof = inventory.layers.has(layer.id);
    return blobsOf(layer).map(
      ({ digest, size }) => [partialName({ registry, digest, isProof }), size] as const,
    );
  });
  return new Map(named);
}

/** Without what rests of them. */
function missingBytes({ inventory }: PullDeps, partials: ReadonlyMap<string, number>): number {
  const missing = [...partials].map(([name, size]) => size - (inventory.partials.get(name)?.bytes ?? 0));
  return missing.reduce((sum, bytes) => sum + Math.max(0, bytes), 0);
}

function blobsOf(layer: LayerPlan): readonly StoredBlob[] {
  return layer.kind === "files" ? layer.files.map(({ blob }) => blob) : [layer.blob];
}

async function makeMerged(deps: PullDeps, asker: Asker, id: Digest, ids: readonly Digest[]): Promise<void> {
  const { ingest, inventory, layout, assemble } = deps;
  const parts = ids.flatMap((part) => inventory.layers.get(part) ?? []);
  const blobs = new Map(parts.flatMap((layer) => layer.blobs).map((blob) => [blob.digest, blob]));
  const shared = new Map(parts.flatMap((layer) => layer.shared).map((part) => [part.id, part]));
  try {
    await ingest.make(async (directory) => {
      const from = ids.toReversed().map((part) => layout.content(part));
      const { bytes, inodes } = await assemble(from, path.join(directory, "fs"));
      return {
        id,
        kind: "assembled",
        blobs: [...blobs.values()],
        files: [],
        ownBytes: bytes,
        shared: [...shared.values()],
        inodes,
        sources: [registryOf(asker.access)],
      };
    });
  } catch (error) {
    throw toDiskFailure(error, "the assembled directory");
  }
}

async function putTree(
  { inventory, layout, files, now }: PullDeps,
  registry: string,
  { key, digest }: Wanted,
  made: Pick<Tree, "notes" | "layers">,
): Promise<void> {
  const sources = new Set([...(inventory.trees.get(key)?.sources ?? []), registry]);
  const tree: Tree = { key, digest, ...made, sources: [...sources] };
  // Not durable: after a power loss the Tree is merely asked for again.
  await files.writeAtomically(layout.treeRecord(key), Buffer.from(formatTree(tree)), { durable: false });
  inventory.putTree(tree, now());
}
