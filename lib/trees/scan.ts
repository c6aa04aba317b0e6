// What a start finds on the disk: the whole is taken in, the rest goes to the trash.
import path from "node:path";
import { type Digest, parseDigest } from "../core/digest.ts";
import { isFailure } from "../core/failure.ts";
import type { Files } from "../host/files.ts";
import type { Inventory } from "./inventory.ts";
import { parseLayer } from "./layer.ts";
import type { Layout } from "./layout.ts";
import { readPartial, restingBytes } from "./partial.ts";
import type { Trash } from "./trash.ts";
import { parseTree } from "./tree.ts";

export type ScanDeps = {
  readonly files: Files;
  readonly layout: Layout;
  readonly inventory: Inventory;
  readonly trash: Trash;
};

/**
 * Fills the inventory from the disk. Afterwards nothing is in `ingest/`, the trash is being emptied, and what is
 * known is whole and of this boot or synced. Returns the Layers that still have to be synced.
 */
export async function scanStore(deps: ScanDeps): Promise<readonly Digest[]> {
  const { files, layout, trash } = deps;
  for (const directory of layout.directories) await files.makeDirectory(directory);
  for (const directory of [layout.trees, layout.tags]) await files.removeLeftovers(directory);
  await trash.sweep();
  for (const { name } of await files.list(layout.ingest)) await trash.take(path.join(layout.ingest, name));
  const unsynced = await scanLayers(deps);
  await scanTrees(deps);
  await scanPartials(deps);
  return unsynced;
}

async function scanLayers({ files, layout, inventory, trash }: ScanDeps): Promise<readonly Digest[]> {
  const unsynced: Digest[] = [];
  const boot = files.bootId();
  await eachOf(await files.list(layout.layers), async ({ name }) => {
    const id = toDigest(name);
    const layer =
      id === undefined ? undefined : parseLayer(await readText(files, layout.layerRecord(id)), id);
    // Made under another boot and never synced: whatever a power loss left of it is not to be trusted.
    if (layer === undefined || (layer.boot !== undefined && layer.boot !== boot)) {
      return await trash.take(path.join(layout.layers, name));
    }
    await files.removeLeftovers(layout.layer(layer.id));
    inventory.putLayer(layer);
    if (layer.boot !== undefined) unsynced.push(layer.id);
  });
  return unsynced;
}

async function scanTrees({ files, layout, inventory, trash }: ScanDeps): Promise<void> {
  await eachOf(await files.list(layout.trees), async ({ name }) => {
    const at = path.join(layout.trees, name);
    const key = name.endsWith(".json") ? toDigest(name.slice(0, -".json".length)) : undefined;
    const tree = key === undefined ? undefined : parseTree(await readText(files, at), key);
    if (tree?.layers.every((id) => inventory.layers.has(id)) !== true) return await trash.take(at);
    inventory.putTree(tree, await files.readTouched(at));
  });
}

async function scanPartials({ files, layout, inventory, trash }: ScanDeps): Promise<void> {
  const boot = files.bootId();
  await eachOf(await files.list(layout.partials), async ({ name }) => {
    const directory = layout.partial(name);
    const map = await readPartial({ directory, boot });
    if (map === undefined) return await trash.take(directory);
    const sinceMs = await files.readTouched(path.join(directory, "map"));
    inventory.putPartial(name, { bytes: restingBytes(map), sinceMs });
  });
}

/** A few at a time: a store may hold tens of thousands. */
async function eachOf<T>(items: readonly T[], visit: (item: T) => Promise<void>): Promise<void> {
  const queue = items.values();
  await Promise.all(
    Array.from({ length: 16 }, async () => {
      for (const item of queue) await visit(item);
    }),
  );
}

async function readText(files: Files, at: string): Promise<string> {
  try {
    return Buffer.from(await files.read(at)).toString("utf8");
  } catch (error) {
    if (isFailure(error, "not-found") || isFailure(error, "conflict")) return "";
    throw error;
  }
}

function toDigest(hex: string): Digest | undefined {
  return /^[0-9a-f]{64}$/.test(hex) ? parseDigest(`sha256:${hex}`) : undefined;
}
