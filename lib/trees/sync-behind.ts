// Syncs the store in the background, never twice at once, and never too early for what it was asked for.
export type SyncDeps = {
  /** Whether pulls are in the air, which a sync would only slow: the last of them asks again. */
  readonly isBusy: () => boolean;
  readonly sync: () => Promise<void>;
  readonly onTrouble: (error: unknown) => void;
};

export class SyncBehind {
  readonly #deps: SyncDeps;
  #isWanted = false;
  #running: Promise<void> | undefined;

  constructor(deps: SyncDeps) {
    this.#deps = deps;
  }

  /** What lands during a sync may be too late for it, and gets one of its own. */
  request(): void {
    if (this.#deps.isBusy()) return;
    this.#isWanted = true;
    this.#running ??= this.#run().finally(() => {
      this.#running = undefined;
    });
  }

  /** Resolves when nothing that was asked for is left to do. */
  async ended(): Promise<void> {
    await this.#running;
  }

  async #run(): Promise<void> {
    while (this.#isWanted) {
      this.#isWanted = false;
      await this.#deps.sync().catch(this.#deps.onTrouble);
    }
  }
}
