// How far a pack is, told now and then.

export type PackProgress = {
  /** Looked at so far. */
  readonly entries: number;
  /** Where it is known. */
  readonly totalEntries?: number;
  /** In the archives so far, before compression. */
  readonly bytes: number;
};

const EVERY_MS = 200;

/** Tells the first, and then no more often than anybody reads it. */
export class PackTally {
  readonly #tell: (progress: PackProgress) => void;
  #told = Number.NEGATIVE_INFINITY;
  #total: number | undefined;
  #entries = 0;
  #bytes = 0;

  constructor(tell: (progress: PackProgress) => void = () => undefined) {
    this.#tell = tell;
  }

  expect(entries: number): void {
    this.#total = entries;
    this.#note();
  }

  look(): void {
    this.#entries++;
    this.#note();
  }

  store(bytes: number): void {
    this.#bytes += bytes;
    this.#note();
  }

  #note(): void {
    const now = performance.now();
    if (now - this.#told < EVERY_MS) return;
    this.#told = now;
    const total = this.#total === undefined ? {} : { totalEntries: this.#total };
    this.#tell({ entries: this.#entries, ...total, bytes: this.#bytes });
  }
}
