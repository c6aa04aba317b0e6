// Layers made over for pods of a group: one for each Layer and group, shared by all claims that stand on it.
import path from "node:path";
import type { Cloned } from "../archive/clone-tree.ts";
import type { Digest } from "../core/digest.ts";
import { Failure } from "../core/failure.ts";
import { groupedLayerId } from "../core/layer-id.ts";
import { toDiskFailure } from "./disk-failure.ts";
import { Flights } from "./flights.ts";
import type { Ingest } from "./ingest.ts";
import type { Inventory } from "./inventory.ts";
import type { Layer } from "./layer.ts";
import type { Layout } from "./layout.ts";

export type GroupedLayersDeps = {
  readonly inventory: Inventory;
  readonly layout: Layout;
  readonly ingest: Pick<Ingest, "make">;
  /** Fills the missing directory `to` with what `from` holds, all of it the group's. */
  readonly cloneForGroup: (from: string, to: string, gid: number) => Promise<Cloned>;
  readonly onLanded: () => void;
};

/** Kept from collection until it is disposed of; by then a Record should name them. */
export type LeasedLayers = Disposable & { readonly layers: readonly Digest[] };

export class GroupedLayers {
  readonly #deps: GroupedLayersDeps;
  readonly #flights = new Flights<void>();

  constructor(deps: GroupedLayersDeps) {
    this.#deps = deps;
  }

  /**
   * What the Layers, the lowest first, are for the group, in the same order: made where they are not here, once however
   * many ask. Failures: unavailable where one of them is gone, full.
   */
  async lease(layers: readonly Digest[], gid: number): Promise<LeasedLayers> {
    const grouped = layers.map((layer) => groupedLayerId(layer, gid));
    const pin = this.#deps.inventory.pin(grouped);
    try {
      for (const layer of layers) await this.#ensure(layer, gid);
      return { layers: grouped, [Symbol.dispose]: () => pin[Symbol.dispose]() };
    } catch (error) {
      pin[Symbol.dispose]();
      throw error;
    }
  }

  async landed(): Promise<void> {
    await this.#flights.landed();
  }

  async #ensure(layer: Digest, gid: number): Promise<void> {
    const { inventory, onLanded } = this.#deps;
    const id = groupedLayerId(layer, gid);
    if (inventory.layers.has(id)) return;
    await this.#flights.join(id, "", async () => {
      // Who asked may leave before it lands.
      using _pin = inventory.pin([layer, id]);
      await this.#make(layer, id, gid);
    });
    onLanded();
  }

  async #make(from: Digest, id: Digest, gid: number): Promise<void> {
    const { inventory, layout, ingest, cloneForGroup } = this.#deps;
    const original = inventory.layers.get(from);
    if (original === undefined) {
      const why = `${from} of its base is gone from this node; try again`;
      throw new Failure("unavailable", `Cannot make a layer over for the group ${gid}: ${why}`);
    }
    try {
      await ingest.make(async (directory) => {
        const cloned = await cloneForGroup(layout.content(from), path.join(directory, "fs"), gid);
        return { id, kind: "grouped", blobs: [], files: [], sources: [], ...sizeOf(cloned, original) };
      });
    } catch (error) {
      throw toDiskFailure(error, `a layer for the group ${gid}`);
    }
  }
}

/** Blocks that both have count once, as far as the other says which they are. */
function sizeOf({ bytes, sharedBytes, inodes }: Cloned, { shared }: Layer) {
  const together = shared.reduce((sum, part) => sum + part.bytes, 0);
  if (sharedBytes === 0) return { ownBytes: bytes, shared: [], inodes };
  return { ownBytes: Math.max(0, bytes - together), shared, inodes };
}
