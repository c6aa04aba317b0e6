// Keeps apart those who trim a committed Layer and those who begin to start from it.
import type { Digest } from "../core/digest.ts";

export class LayerUse {
  readonly #trims = new Map<
    Digest,
    { readonly outcome: Promise<boolean>; readonly haste: AbortController }
  >();
  readonly #starts = new Map<Digest, number>();

  /** Nobody trims these until it is disposed of; by then a Record says that a claim is based on them. */
  async start(layers: readonly Digest[]): Promise<Disposable> {
    for (const layer of layers) this.#starts.set(layer, (this.#starts.get(layer) ?? 0) + 1);
    for (const layer of layers) this.hasten(layer);
    // However it ends.
    for (const layer of layers) await this.#trims.get(layer)?.outcome.catch(() => undefined);
    let isOver = false;
    return {
      [Symbol.dispose]: () => {
        if (isOver) return;
        isOver = true;
        for (const layer of layers) this.#leave(layer);
      },
    };
  }

  /**
   * Joins a trimming that is under way. Runs `trim`, unless somebody begins to start from the Layer, or `isBase` tells
   * that a claim has. Answers what that did: whether all of it is done.
   */
  async trim(
    layer: Digest,
    isBase: () => boolean,
    trim: (haste: AbortSignal) => Promise<boolean>,
  ): Promise<boolean> {
    const running = this.#trims.get(layer);
    if (running !== undefined) return await running.outcome;
    if (this.#starts.has(layer) || isBase()) return false;
    const haste = new AbortController();
    const trimming = { outcome: trim(haste.signal), haste };
    this.#trims.set(layer, trimming);
    try {
      return await trimming.outcome;
    } finally {
      this.#trims.delete(layer);
    }
  }

  /** A trimming that is under way need do no more than what others would see. */
  hasten(layer: Digest): void {
    this.#trims.get(layer)?.haste.abort();
  }

  /** Nobody trims it any more when it resolves, however that ended. */
  async untrimmed(layer: Digest): Promise<void> {
    await this.#trims.get(layer)?.outcome.catch(() => undefined);
  }

  #leave(layer: Digest): void {
    const left = (this.#starts.get(layer) ?? 1) - 1;
    if (left === 0) this.#starts.delete(layer);
    else this.#starts.set(layer, left);
  }
}
