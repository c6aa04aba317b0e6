// Makes room: what rests half done goes first, then what no Tree needs, then the Trees unused for longest.
import { type Collection, type Held, planCollection } from "../core/collection.ts";
import type { Digest } from "../core/digest.ts";
import type { Files } from "../host/files.ts";
import type { Inventory } from "./inventory.ts";
import type { LayerStore } from "./layer-store.ts";
import type { Layout } from "./layout.ts";
import type { Trash } from "./trash.ts";

export type CollectorDeps = {
  readonly inventory: Inventory;
  readonly store: LayerStore;
  readonly layout: Layout;
  readonly files: Pick<Files, "removeFile">;
  readonly trash: Trash;
  readonly onStep: (step: string) => Promise<void>;
};

export type Collected = { readonly trees: number; readonly layers: number; readonly bytes: number };

const partialLifeMs = 24 * 3600 * 1000;

export class Collector {
  readonly #deps: CollectorDeps;

  constructor(deps: CollectorDeps) {
    this.#deps = deps;
  }

  /** Removes until no more than `targetBytes` are used or nothing more may go; what is removed is off the disk then. */
  async collect(targetBytes: number): Promise<Collected> {
    const { inventory, trash } = this.#deps;
    const before = inventory.usedBytes;
    const plan = this.#planTo(targetBytes);
    for (const name of plan.partials) await this.#removePartial(name);
    let trees = 0;
    for (const key of plan.trees as readonly Digest[]) trees += await this.#removeTree(key);
    let layers = 0;
    for (const id of plan.layers as readonly Digest[]) layers += await this.#removeLayer(id);
    await trash.emptied();
    return { trees, layers, bytes: before - inventory.usedBytes };
  }

  /** What it would free, were it to remove all that may go. */
  collectableBytes(): number {
    const { usedBytes, leftBytes } = this.#planTo(0);
    return usedBytes - leftBytes;
  }

  #planTo(targetBytes: number): Collection {
    const mark = { highBytes: targetBytes, lowBytes: targetBytes, takenBytes: 0, wantedBytes: 0 };
    return planCollection(this.#held(), this.#deps.inventory.roots(), mark);
  }

  /** Removes the partials that have rested for a day; a clock that jumped counts as a day. */
  async expirePartials(nowMs: number): Promise<void> {
    for (const [name, { sinceMs }] of this.#deps.inventory.partials) {
      if (Math.abs(nowMs - sinceMs) >= partialLifeMs) await this.#removePartial(name);
    }
  }

  #held(): Held {
    const { inventory } = this.#deps;
    const trees = [...inventory.trees.values()].map(({ key, layers }) => ({
      key,
      layers,
      lastUsedMs: inventory.lastUsed(key),
    }));
    const layers = [...inventory.layers.values()].map(({ id, ownBytes, shared }) => ({
      id,
      bytes: ownBytes,
      shared,
    }));
    const partials = [...inventory.partials].map(([id, { bytes, sinceMs }]) => ({
      id,
      bytes,
      lastUsedMs: sinceMs,
    }));
    return { trees, layers, partials };
  }

  /** The record first: a Tree never names a Layer that is gone. One that was leased since the plan stays. */
  async #removeTree(key: Digest): Promise<number> {
    const { inventory, files, layout, onStep } = this.#deps;
    if (inventory.isRoot(key)) return 0;
    inventory.dropTree(key);
    await files.removeFile(layout.treeRecord(key));
    await onStep("tree removed");
    return 1;
  }

  async #removeLayer(id: Digest): Promise<number> {
    const { inventory, store, onStep } = this.#deps;
    if (inventory.isRoot(id) || inventory.treesOf(id) > 0) return 0;
    await store.remove(id);
    await onStep("layer removed");
    return 1;
  }

  async #removePartial(name: string): Promise<void> {
    const { inventory, layout, trash, onStep } = this.#deps;
    if (!inventory.partials.has(name) || inventory.isRoot(name)) return;
    using _leaving = inventory.leavePartial(name);
    await trash.take(layout.partial(name));
    await onStep("partial removed");
  }
}
