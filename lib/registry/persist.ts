// Asks again after a fault, for as long as that makes sense: the one loop for every request.
import { planRetry } from "../core/retry.ts";
import { Fault } from "./fault.ts";
import type { Observe } from "./observe.ts";

export type PersistDeps = {
  readonly now: () => number;
  readonly random: () => number;
  /** Rejects with the signal's reason when that comes first. */
  readonly sleep: (ms: number, signal: AbortSignal) => Promise<void>;
  readonly observe: Observe;
};

/** A single attempt counts for no longer than this: a clock that was set forward must not end all patience at once. */
const LONGEST_ATTEMPT_MS = 60_000;

/** Counts the failures of one request since it last got on, and the time they took. */
export class Patience {
  readonly #deps: PersistDeps;
  #failures = 0;
  #spentMs = 0;
  #since: number;

  constructor(deps: PersistDeps) {
    this.#deps = deps;
    this.#since = deps.now();
  }

  /** Bytes came: what failed before does not count any more. */
  renew(): void {
    this.#failures = 0;
    this.#spentMs = 0;
    this.#since = this.#deps.now();
  }

  /** Waits until the request should be made again; throws the fault when it should not. */
  async wait(fault: Fault, host: string, signal: AbortSignal): Promise<void> {
    const { now, random, sleep, observe } = this.#deps;
    this.#failures += 1;
    // A clock that was set back makes no attempt shorter than nothing.
    this.#spentMs += Math.min(Math.max(0, now() - this.#since), LONGEST_ATTEMPT_MS);
    const { tries, retryAfterMs } = fault.facts;
    const asked = { attempt: this.#failures, elapsedMs: this.#spentMs, retryAfterMs, random: random() };
    const waitMs = planRetry(asked);
    if (this.#failures >= tries || waitMs === undefined) throw fault;
    observe.retry({ host, reason: fault.reason, why: fault.message, attempt: this.#failures, waitMs });
    await sleep(waitMs, signal);
    this.#spentMs += waitMs;
    this.#since = now();
  }
}

/**
 * The first result; a fault that time may heal is waited out. Aborted, it rejects with the signal's reason, or with
 * the fault that it was waiting out: whoever gives up learns why there was nothing yet.
 */
export async function persist<T>(
  deps: PersistDeps,
  host: string,
  attempt: () => Promise<T>,
  signal: AbortSignal,
): Promise<T> {
  const patience = new Patience(deps);
  let last: Fault | undefined;
  for (;;) {
    try {
      return await attempt();
    } catch (error) {
      if (signal.aborted) throw last ?? signal.reason;
      if (!(error instanceof Fault)) throw error;
      last = error;
    }
    try {
      await patience.wait(last, host, signal);
    } catch {
      throw last;
    }
  }
}
