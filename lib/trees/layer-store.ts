// The Layers in place: each appears by one rename, is amended by its record alone, and goes into the trash.
import { writeFile } from "node:fs/promises";
import path from "node:path";
import type { Digest } from "../core/digest.ts";
import { isFailure } from "../core/failure.ts";
import type { Files } from "../host/files.ts";
import type { Inventory } from "./inventory.ts";
import { formatLayer, type Layer } from "./layer.ts";
import type { Layout } from "./layout.ts";

export type LayerStoreDeps = {
  readonly files: Files;
  readonly layout: Layout;
  readonly inventory: Inventory;
  readonly discard: (at: string) => Promise<void>;
  /** Waited for after each step, so that a test can stop there as a crash would. */
  readonly onStep: (step: string) => Promise<void>;
};

export class LayerStore {
  readonly #deps: LayerStoreDeps;
  #unsynced = new Set<Digest>();
  #writing: Promise<void> = Promise.resolve();
  #syncing: Promise<void> = Promise.resolve();

  constructor(deps: LayerStoreDeps) {
    this.#deps = deps;
  }

  /**
   * The Layer is in place when it resolves: by a rename of `directory`, whose `fs` is what it holds, or because
   * another got there first, whose sources then include these. Either way nothing is left in `directory`.
   */
  async put(directory: string, made: Omit<Layer, "boot">): Promise<void> {
    const { files, layout, inventory, discard, onStep } = this.#deps;
    const layer: Layer = { ...made, boot: files.bootId() };
    await writeFile(path.join(directory, "layer.json"), formatLayer(layer), { mode: 0o600 });
    await onStep("layer recorded");
    try {
      await files.rename(directory, layout.layer(layer.id));
    } catch (error) {
      if (!isFailure(error, "conflict") || !inventory.layers.has(layer.id)) throw error;
      await discard(directory);
      for (const source of layer.sources) await this.addSource(layer.id, source);
      return;
    }
    inventory.putLayer(layer);
    this.#unsynced.add(layer.id);
    await onStep("layer in place");
  }

  /**
   * The same for what a claim wrote, which no registry has yet: it carries no boot, since its bytes were synced before
   * and everything here is. Survives a power loss once it resolves; repeating is safe.
   */
  async adopt(directory: string, layer: Layer): Promise<void> {
    const { files, layout, inventory, onStep } = this.#deps;
    await files.writeAtomically(path.join(directory, "layer.json"), Buffer.from(formatLayer(layer)), {
      durable: true,
    });
    await onStep("claim recorded");
    await files.rename(directory, layout.layer(layer.id));
    await files.syncDirectory(layout.layers);
    inventory.putLayer(layer);
    await onStep("claim in place");
  }

  /** Ensures, durably, that the registry counts as one these bytes came from. */
  async addSource(id: Digest, registry: string): Promise<void> {
    await this.#amend(id, true, (layer) =>
      layer.sources.includes(registry) ? layer : { ...layer, sources: [...layer.sources, registry] },
    );
  }

  /**
   * What it takes on the disk, which was not known before or is less by now. Durably: a record that a power loss tears
   * takes its Layer along, and what a claim wrote cannot be pulled again.
   */
  async weigh(
    id: Digest,
    weight: Partial<Pick<Layer, "ownBytes" | "inodes" | "replacedBytes">>,
  ): Promise<void> {
    await this.#amend(id, true, (layer) => ({ ...layer, ...weight }));
  }

  /** Marks those that were found unsynced under this very boot, to be synced like new ones. */
  expectSync(id: Digest): void {
    this.#unsynced.add(id);
  }

  /** Everything put so far survives a power loss once it resolves. Only one pass runs at a time. */
  async sync(): Promise<void> {
    const pass = this.#syncing.then(() => this.#syncOnce());
    this.#syncing = pass.catch(() => {});
    await pass;
  }

  /** Takes the Layer away. The caller knows that nobody needs it. */
  async remove(id: Digest): Promise<void> {
    const { inventory, layout, discard } = this.#deps;
    inventory.dropLayer(id);
    this.#unsynced.delete(id);
    await discard(layout.layer(id));
  }

  async #syncOnce(): Promise<void> {
    const { files, layout, inventory, onStep } = this.#deps;
    if (this.#unsynced.size === 0) return;
    const ids = this.#unsynced;
    this.#unsynced = new Set();
    try {
      await files.syncFilesystem(layout.root);
      await onStep("synced");
      for (const id of ids) {
        // Not durable: should a power loss bring the mark back, the Layer is merely pulled again.
        await this.#amend(id, false, toSynced);
        ids.delete(id);
      }
    } catch (error) {
      // The next pass has them still, but for what was removed meanwhile.
      for (const id of ids) if (inventory.layers.has(id)) this.#unsynced.add(id);
      throw error;
    }
  }

  async #amend(id: Digest, durable: boolean, change: (layer: Layer) => Layer): Promise<void> {
    const { files, layout, inventory } = this.#deps;
    const write = this.#writing.then(async () => {
      const layer = inventory.layers.get(id);
      const changed = layer === undefined ? undefined : change(layer);
      if (changed === undefined || changed === layer) return;
      await files.writeAtomically(layout.layerRecord(id), Buffer.from(formatLayer(changed)), { durable });
      if (inventory.layers.has(id)) inventory.putLayer(changed);
    });
    this.#writing = write.catch(() => {});
    await write;
  }
}

function toSynced(layer: Layer): Layer {
  const { boot: _, ...rest } = layer;
  return rest;
}
