// One flight per thing on this node, whoever asks: later callers join the one that is in the air.
import { isFailure } from "../core/failure.ts";

type Flight<T> = { readonly as: string; readonly landing: Promise<T> };

export class Flights<T> {
  readonly #flying = new Map<string, Flight<T>>();
  #joined = 0;

  /** How many callers found somebody else's flight in the air. */
  get joined(): number {
    return this.#joined;
  }

  get size(): number {
    return this.#flying.size;
  }

  has(key: string): boolean {
    return this.#flying.has(key);
  }

  /** The outcome of the flight for `key`, where there is one. */
  landing(key: string): Promise<T> | undefined {
    return this.#flying.get(key)?.landing;
  }

  /**
   * The outcome of the flight for `key`, started by `fly` when there is none. `as` says on whose behalf: a
   * flight that ends `denied` (or `not-found`, as which some registries disguise it) ended so for its own
   * starter only, and everybody else starts one of their own. Nothing a caller does stops a flight.
   */
  async join(key: string, as: string, fly: () => Promise<T>): Promise<T> {
    for (;;) {
      const flight = this.#flying.get(key);
      if (flight === undefined) return await this.#start(key, as, fly);
      this.#joined++;
      try {
        return await flight.landing;
      } catch (error) {
        const theirs = flight.as !== as && (isFailure(error, "denied") || isFailure(error, "not-found"));
        if (!theirs) throw error;
      }
    }
  }

  /** Resolves when nothing is in the air any more, however it ended. */
  async landed(): Promise<void> {
    while (this.#flying.size > 0) {
      await Promise.allSettled([...this.#flying.values()].map(({ landing }) => landing));
    }
  }

  #start(key: string, as: string, fly: () => Promise<T>): Promise<T> {
    // Off the board before anybody hears of the outcome, so that a retry starts anew.
    const landing = Promise.resolve()
      .then(fly)
      .finally(() => this.#flying.delete(key));
    this.#flying.set(key, { as, landing });
    return landing;
  }
}
