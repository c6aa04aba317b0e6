// Which partial each flight writes, and what becomes of it afterwards: it rests to be taken up again, or goes.
import path from "node:path";
import type { Access } from "../core/access.ts";
import { isFailure } from "../core/failure.ts";
import { toDiskFailure } from "./disk-failure.ts";
import type { Inventory, RestingPartial } from "./inventory.ts";
import type { StoredBlob } from "./layer.ts";
import { type Layout, partialName } from "./layout.ts";
import { Partial } from "./partial.ts";
import { registryOf } from "./permission.ts";

export type PartialsDeps = {
  readonly layout: Layout;
  readonly inventory: Inventory;
  readonly boot: string;
  /** Aborted when the store closes: flights end there and leave their partials to be resumed. */
  readonly closing: AbortSignal;
  /** Hears of all bytes that arrive. */
  readonly onBytes: () => void;
  readonly now: () => number;
};

/** `hashes`: to be hashed on its way. `upstreamOnly`: brought by the registry itself. */
export type WantedPartial = {
  readonly blob: StoredBlob;
  readonly hashes?: boolean;
  readonly upstreamOnly?: boolean;
};

/** A partial that is one flight's, and what rested there. */
export type Place = { readonly name: string; readonly resting: RestingPartial | undefined };

export class Partials {
  readonly #deps: PartialsDeps;
  readonly #taken = new Set<string>();

  constructor(deps: PartialsDeps) {
    this.#deps = deps;
  }

  /** The caller's until `end()` or `giveBack()`; nothing is done to the disk, and no collection takes it from now on. */
  take(access: Access, { blob, upstreamOnly = false }: WantedPartial): Place {
    const { inventory } = this.#deps;
    const wanted = { registry: registryOf(access), digest: blob.digest, isProof: upstreamOnly };
    // What landed before may still be read in its place while it becomes a Layer, and what rested be on its way out.
    let name = partialName(wanted);
    for (let again = 2; this.#taken.has(name) || inventory.isLeaving(name); again++)
      name = partialName(wanted, again);
    this.#taken.add(name);
    return { name, resting: inventory.takePartial(name) };
  }

  /** Untouched: it rests as before. */
  giveBack({ name, resting }: Place): void {
    this.#taken.delete(name);
    if (resting !== undefined) this.#deps.inventory.putPartial(name, resting);
  }

  /** Goes on with what rests there, or begins anew. Where neither can be, it is given back. */
  async open(place: Place, { blob, hashes = false }: WantedPartial): Promise<Partial> {
    const { layout, boot, onBytes: onWrite } = this.#deps;
    try {
      return await Partial.open({ directory: layout.partial(place.name), boot }, blob, { onWrite, hashes });
    } catch (error) {
      this.giveBack(place);
      throw error;
    }
  }

  /** It rests, where it is to be kept and something of it can be; else it is gone. */
  async end(partial: Partial, keep: boolean): Promise<void> {
    const name = path.basename(partial.directory);
    try {
      const bytes = keep ? await this.#suspend(partial) : 0;
      if (bytes === 0) await partial.remove();
      else this.#deps.inventory.putPartial(name, { bytes, sinceMs: this.#deps.now() });
    } finally {
      this.#taken.delete(name);
    }
  }

  /** How much is kept; a disk that takes not even the map keeps nothing. */
  async #suspend(partial: Partial): Promise<number> {
    try {
      return await partial.suspend({ sync: this.#deps.closing.aborted });
    } catch (error) {
      if (isFailure(toDiskFailure(error, "a partial download"))) return 0;
      throw error;
    }
  }
}
