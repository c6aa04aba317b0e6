// Digests of files that are hashed while they are written, as far as they are written from their start in order.
import { createHash, type Hash } from "node:crypto";

/** A file to come: what it is called among those in the making, and how long it will be. */
export type Sum = { readonly id: number; readonly size: number };

export class RunningDigests {
  readonly #running = new Map<number, { readonly hash: Hash; next: number }>();

  /** How many are in the making. */
  get size(): number {
    return this.#running.size;
  }

  /**
   * Takes a piece in. The digest of the whole with the last of its pieces; undefined before, and for ever once one came
   * out of order, until the file is begun again at 0.
   */
  add({ id, size }: Sum, offset: number, bytes: Uint8Array): string | undefined {
    if (offset === 0) this.#running.set(id, { hash: createHash("sha256"), next: 0 });
    const running = this.#running.get(id);
    if (running?.next !== offset) return this.forget(id);
    running.hash.update(bytes);
    running.next += bytes.length;
    if (running.next !== size) return undefined;
    this.forget(id);
    return `sha256:${running.hash.digest("hex")}`;
  }

  forget(id: number): undefined {
    this.#running.delete(id);
  }
}
