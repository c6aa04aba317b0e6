// When each Tree was last used, noted on the disk, so that a restart does not forget which to collect first.
import type { Digest } from "../core/digest.ts";
import { isFailure } from "../core/failure.ts";
import type { Files } from "../host/files.ts";
import type { Inventory } from "./inventory.ts";
import type { Layout } from "./layout.ts";

export type UseNotesDeps = {
  readonly files: Pick<Files, "touch">;
  readonly layout: Layout;
  readonly inventory: Inventory;
  readonly now: () => number;
};

export class UseNotes {
  readonly #deps: UseNotesDeps;
  #notedMs = 0;

  constructor(deps: UseNotesDeps) {
    this.#deps = deps;
  }

  /** Notes what was used since the last time. */
  async write(): Promise<void> {
    const { inventory, now } = this.#deps;
    const since = this.#notedMs;
    this.#notedMs = now();
    for (const key of inventory.trees.keys()) {
      const usedMs = inventory.lastUsed(key);
      if (usedMs >= since) await this.#touch(key, usedMs);
    }
  }

  async #touch(key: Digest, usedMs: number): Promise<void> {
    const { files, layout } = this.#deps;
    try {
      await files.touch(layout.treeRecord(key), usedMs);
    } catch (error) {
      // Collected meanwhile.
      if (!isFailure(error, "not-found")) throw error;
    }
  }
}
