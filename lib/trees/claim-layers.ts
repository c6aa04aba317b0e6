// Layers that claims of this node wrote: content like any other, from no registry until they were pushed.
import type { Access } from "../core/access.ts";
import type { Digest } from "../core/digest.ts";
import { treeKey } from "../core/layer-id.ts";
import type { Platform } from "../core/platform.ts";
import { bytesOfLayer, type Layer } from "./layer.ts";
import { registryOf } from "./permission.ts";
import type { Store } from "./store.ts";
import { formatTree, type Tree } from "./tree.ts";

type Pushed = {
  readonly digest: Digest;
  readonly platform: Platform;
  readonly layers: readonly Digest[];
  /** Of its layers, as the registry has confirmed them. */
  readonly blobs: ReadonlySet<Digest>;
};

export class ClaimLayers {
  readonly #store: Pick<Store, "inventory" | "layout" | "files" | "layers" | "settings" | "now">;

  constructor(store: Pick<Store, "inventory" | "layout" | "files" | "layers" | "settings" | "now">) {
    this.#store = store;
  }

  isHere(layer: Digest): boolean {
    return this.#store.inventory.layers.has(layer);
  }

  /** What these take on disk together, as far as they are here. */
  bytesOf(layers: readonly Digest[]): number {
    const found = layers.flatMap((id) => this.#store.inventory.layers.get(id) ?? []);
    return found.reduce((sum, layer) => sum + bytesOfLayer(layer), 0);
  }

  /** What a claim wrote, over a base that shows so much of files: what both show together, as far as that is known. */
  bytesOver(layer: Digest, baseBytes: number): number {
    const replaced = this.#store.inventory.layers.get(layer)?.replacedBytes ?? 0;
    return this.bytesOf([layer]) + Math.max(0, baseBytes - replaced);
  }

  /** What the References meant of which there is a Tree. */
  meanings(): ReadonlySet<Digest> {
    return this.#store.inventory.meanings();
  }

  /** What a claim wrote, and was synced, is a Layer: `directory`, whose `fs` holds it, is renamed into place. Durable. */
  async adopt(directory: string, made: Pick<Layer, "id" | "ownBytes" | "inodes">): Promise<void> {
    const layer: Layer = { ...made, kind: "claim", blobs: [], files: [], shared: [], sources: [] };
    await this.#store.layers.adopt(directory, layer);
  }

  /** What it takes on the disk: where nothing is counted by the kernel, packing finds out. */
  async weigh(
    layer: Digest,
    weight: Partial<Pick<Layer, "ownBytes" | "inodes" | "replacedBytes">>,
  ): Promise<void> {
    await this.#store.layers.weigh(layer, weight);
  }

  /** A Tree that was pushed from here is here: whoever may have it from that registry needs to fetch none of its blobs. */
  async register(access: Access, { digest, platform, layers: ids, blobs }: Pushed): Promise<void> {
    const { inventory, layout, files, layers, settings, now } = this.#store;
    const registry = registryOf(access);
    // Where all was packed anew the registry has nothing of a base that came from elsewhere, to give to whoever names it.
    const isThere = (layer: Layer | undefined) =>
      layer?.blobs.every((blob) => blobs.has(blob.digest)) === true;
    for (const id of ids) if (isThere(inventory.layers.get(id))) await layers.addSource(id, registry);
    const key = treeKey({ digest, platform, layout: "overlay", keepSetuid: settings.keepSetuid });
    const tree: Tree = { key, digest, layers: ids, notes: [], sources: [registry], isPushed: true };
    await files.writeAtomically(layout.treeRecord(key), Buffer.from(formatTree(tree)), { durable: false });
    inventory.putTree(tree, now());
  }
}
