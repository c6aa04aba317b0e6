// Flights whose outcome several callers share: it stays for as long as anybody has a claim on it.
import { Flights } from "./flights.ts";

/** One caller's share in what landed. Disposing lets go; the last to let go has it cleared away. */
export interface Claim<T> extends AsyncDisposable {
  readonly value: T;
  /** Runs alone among all claims of this outcome; `isLast` tells that nobody else wants it. */
  alone<R>(use: (isLast: boolean) => Promise<R>): Promise<R>;
  /** From now on nobody joins in: what landed is being used up. */
  withdraw(): void;
}

type Shared<T> = { claims: number; landed?: { readonly value: T }; turn: Promise<unknown> };

export class Claims<T> {
  readonly #flights = new Flights<T>();
  readonly #shared = new Map<string, Shared<T>>();
  readonly #clear: (value: T) => Promise<void>;

  constructor(clear: (value: T) => Promise<void>) {
    this.#clear = clear;
  }

  /** A share in what the flight for `key` brings, or brought while others still claim it. `as` is as in Flights. */
  async claim(key: string, as: string, fly: () => Promise<T>): Promise<Claim<T>> {
    const shared = this.#shared.get(key) ?? { claims: 0, turn: Promise.resolve() };
    this.#shared.set(key, shared);
    shared.claims++;
    try {
      shared.landed ??= { value: await this.#flights.join(key, as, fly) };
    } catch (error) {
      this.#leave(key, shared);
      throw error;
    }
    return this.#claimOf(key, shared, shared.landed.value);
  }

  /**
   * A share in what is here for `key`, or on its way; undefined where nothing is, or where it comes to nothing, which
   * those hear of who want it.
   */
  async share(key: string): Promise<Claim<T> | undefined> {
    const shared = this.#shared.get(key);
    const landing = shared?.landed === undefined ? this.#flights.landing(key) : shared.landed.value;
    if (shared === undefined || landing === undefined) return undefined;
    shared.claims++;
    try {
      shared.landed ??= { value: await landing };
    } catch {
      this.#leave(key, shared);
      return undefined;
    }
    return this.#claimOf(key, shared, shared.landed.value);
  }

  async landed(): Promise<void> {
    await this.#flights.landed();
  }

  #claimOf(key: string, shared: Shared<T>, value: T): Claim<T> {
    let held = true;
    const queue = <R>(work: () => Promise<R>): Promise<R> => {
      const result = shared.turn.then(work);
      shared.turn = result.catch(() => {});
      return result;
    };
    return {
      value,
      withdraw: () => this.#forget(key, shared),
      alone: (use) => queue(() => use(shared.claims === 1)),
      [Symbol.asyncDispose]: async () => {
        if (!held) return;
        held = false;
        if (this.#leave(key, shared)) await queue(() => this.#clear(value));
      },
    };
  }

  /** Whether that was the last one. */
  #leave(key: string, shared: Shared<T>): boolean {
    if (--shared.claims > 0) return false;
    this.#forget(key, shared);
    return true;
  }

  #forget(key: string, shared: Shared<T>): void {
    if (this.#shared.get(key) === shared) this.#shared.delete(key);
  }
}
