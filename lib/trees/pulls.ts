// The pulls in the air: joined by whoever wants the same, left without harm, and remembered for who comes back.
import type { Digest } from "../core/digest.ts";
import { Failure } from "../core/failure.ts";
import { untilAborted } from "../core/until-aborted.ts";
import type { Metrics } from "../host/metrics.ts";
import type { Asker } from "./blobs.ts";
import { Flights } from "./flights.ts";
import type { Inventory } from "./inventory.ts";
import { registryOf } from "./permission.ts";
import type { Progress, ProgressMeter } from "./pull-progress.ts";

export type Waiter = {
  readonly signal: AbortSignal;
  /** Told how far it is while bytes arrive, a few times a second, and once more when the waiter leaves. */
  readonly onProgress?: (progress: Progress) => void;
};

export type PullsDeps = {
  readonly inventory: Pick<Inventory, "pin">;
  readonly now: () => number;
  readonly metrics: Pick<Metrics, "countJoined" | "countPull">;
  readonly openMeter: (registry: string) => ProgressMeter;
  /** Called after each pull, once it is off the board. */
  readonly onLanded: () => void;
};

type Outcome = {
  readonly landedMs: number;
  readonly as: string;
  readonly failure?: Failure;
  readonly pin: Disposable;
};

/** How long an outcome waits for those who went away to come back: longer than any caller backs off. */
const keepMs = 5 * 60 * 1000;
const tellEveryMs = 250;

export class Pulls {
  readonly #deps: PullsDeps;
  readonly #flights = new Flights<void>();
  readonly #waiting = new Map<string, Set<Waiter>>();
  readonly #meters = new Map<string, ProgressMeter>();
  readonly #outcomes = new Map<string, Outcome>();
  #toldMs = 0;

  constructor(deps: PullsDeps) {
    this.#deps = deps;
  }

  get joined(): number {
    return this.#flights.joined;
  }

  /** Whether nothing is being pulled. */
  get isIdle(): boolean {
    return this.#flights.size === 0;
  }

  /**
   * Resolves when the pull is through; rejects with the signal's reason when the waiter leaves, which stops
   * nothing. What failed while nobody waited is told to the next who asks on the same behalf, once.
   */
  async join(
    asker: Asker,
    key: Digest,
    waiter: Waiter,
    pull: (meter: ProgressMeter) => Promise<void>,
  ): Promise<void> {
    waiter.signal.throwIfAborted();
    const id = `${registryOf(asker.access)} ${key}`;
    const outcome = this.#takeOutcome(id);
    if (outcome?.failure !== undefined && outcome.as === asker.as && !this.#isOld(outcome))
      throw outcome.failure;
    if (this.#flights.has(id)) this.#deps.metrics.countJoined();
    const waiting = this.#waiting.get(id) ?? new Set();
    this.#waiting.set(id, waiting.add(waiter));
    waiter.onProgress?.(this.#meters.get(id)?.read() ?? { doneBytes: 0, sources: [] });
    try {
      const flight = this.#flights.join(id, asker.as, () => this.#fly({ id, as: asker.as, key }, pull));
      await untilAborted(flight, waiter.signal);
    } catch (error) {
      // What it was told last may be old: nothing is told while no bytes come.
      const meter = this.#meters.get(id);
      if (waiter.signal.aborted && meter !== undefined) waiter.onProgress?.(meter.read());
      throw error;
    } finally {
      waiting.delete(waiter);
      if (waiting.size === 0 && this.#waiting.get(id) === waiting) this.#waiting.delete(id);
    }
  }

  /** Tells those who wait how far it is, unless they were told just now. */
  tell(): void {
    const now = this.#deps.now();
    if (Math.abs(now - this.#toldMs) < tellEveryMs) return;
    this.#toldMs = now;
    for (const [id, waiting] of this.#waiting) {
      const meter = this.#meters.get(id);
      if (meter !== undefined) for (const { onProgress } of waiting) onProgress?.(meter.read());
    }
  }

  /** Lets go of outcomes that nobody came back for. */
  forgetOld(): void {
    for (const [id, outcome] of this.#outcomes) if (this.#isOld(outcome)) this.#takeOutcome(id);
  }

  async landed(): Promise<void> {
    await this.#flights.landed();
    for (const id of this.#outcomes.keys()) this.#takeOutcome(id);
  }

  async #fly(
    { id, as, key }: { readonly id: string; readonly as: string; readonly key: Digest },
    pull: (meter: ProgressMeter) => Promise<void>,
  ): Promise<void> {
    const meter = this.#deps.openMeter(id.slice(0, id.indexOf(" ")));
    this.#meters.set(id, meter);
    const { metrics, now } = this.#deps;
    const beganMs = now();
    const seconds = () => Math.max(0, now() - beganMs) / 1000;
    using pin = this.#deps.inventory.pin([key]);
    try {
      await pull(meter);
      metrics.countPull("whole", seconds());
      this.#keep(id, { as, pin: this.#deps.inventory.pin([key]) });
    } catch (error) {
      if (error instanceof Failure) {
        metrics.countPull(error.reason, seconds());
        this.#keep(id, { as, failure: error, pin });
      }
      throw error;
    } finally {
      this.#meters.delete(id);
      setImmediate(this.#deps.onLanded);
    }
  }

  /** Only where nobody waits: those who do hear of it themselves. */
  #keep(id: string, outcome: Omit<Outcome, "landedMs">): void {
    if ((this.#waiting.get(id)?.size ?? 0) > 0) return outcome.pin[Symbol.dispose]();
    this.#takeOutcome(id);
    this.#outcomes.set(id, { ...outcome, landedMs: this.#deps.now() });
  }

  #takeOutcome(id: string): Outcome | undefined {
    const outcome = this.#outcomes.get(id);
    this.#outcomes.delete(id);
    outcome?.pin[Symbol.dispose]();
    return outcome;
  }

  /** A clock that was set back ends it too, rather than keep it for ever. */
  #isOld({ landedMs }: Outcome): boolean {
    const age = this.#deps.now() - landedMs;
    return age < 0 || age >= keepMs;
  }
}
