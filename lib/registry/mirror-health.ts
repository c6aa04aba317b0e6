// Which mirrors are passed by: a dead one costs its first caller a second, and nobody after.
import type { Endpoint } from "./endpoint.ts";
import type { Observe } from "./observe.ts";

export type MirrorHealthDeps = {
  readonly now: () => number;
  readonly observe: Observe;
  /** Whether the endpoint answers at all; it must give up by itself when the signal says so. */
  readonly probe: (endpoint: Endpoint, signal: AbortSignal) => Promise<boolean>;
  readonly closing: AbortSignal;
};

const PROBE_MS = 1_000;
/** A mirror that answered is trusted for so long, and one that did not is passed by for so long. */
const OPINION_MS = 60_000;

type Opinion = { alive: boolean; until: number; probe?: Promise<void> | undefined };

/**
 * A mirror that is not known yet is asked whether it is there, for a second at most.
 * Afterwards callers go by the last opinion, and it is renewed behind their backs.
 */
export class MirrorHealth {
  readonly #opinions = new Map<string, Opinion>();
  readonly #deps: MirrorHealthDeps;

  constructor(deps: MirrorHealthDeps) {
    this.#deps = deps;
  }

  /** The endpoints in their order, without mirrors that are dead. Unknown ones are asked at the same time. */
  async living(endpoints: readonly Endpoint[]): Promise<readonly Endpoint[]> {
    const alive = await Promise.all(endpoints.map(async (endpoint) => await this.#lives(endpoint)));
    return endpoints.filter((_, at) => alive[at]);
  }

  /** After a request that the mirror did not even answer. */
  report(endpoint: Endpoint, why: string): void {
    if (endpoint.kind !== "mirror") return;
    this.#settle(endpoint, false, why);
  }

  async #lives(endpoint: Endpoint): Promise<boolean> {
    if (endpoint.kind !== "mirror") return true;
    const opinion = this.#opinions.get(endpoint.origin);
    if (opinion === undefined) {
      const fresh: Opinion = { alive: true, until: 0 };
      this.#opinions.set(endpoint.origin, fresh);
      await this.#probe(endpoint, fresh);
      return fresh.alive;
    }
    if (opinion.until === 0) await opinion.probe;
    else if (this.#isOld(opinion)) void this.#probe(endpoint, opinion);
    return opinion.alive;
  }

  /** An opinion that is good for longer than any is given for comes from a clock that was set back. */
  #isOld({ until }: Opinion): boolean {
    const left = until - this.#deps.now();
    return left <= 0 || left > OPINION_MS;
  }

  #probe(endpoint: Endpoint, opinion: Opinion): Promise<void> {
    opinion.probe ??= this.#ask(endpoint).finally(() => {
      opinion.probe = undefined;
    });
    return opinion.probe;
  }

  async #ask(endpoint: Endpoint): Promise<void> {
    const { probe, closing } = this.#deps;
    const signal = AbortSignal.any([closing, AbortSignal.timeout(PROBE_MS)]);
    this.#settle(endpoint, await probe(endpoint, signal), "it did not answer within a second");
  }

  #settle(endpoint: Endpoint, alive: boolean, why: string): void {
    const opinion = this.#opinions.get(endpoint.origin) ?? { alive: true, until: 0 };
    if (opinion.alive && !alive) this.#deps.observe.deadMirror(new URL(endpoint.origin).host, why);
    opinion.alive = alive;
    opinion.until = this.#deps.now() + OPINION_MS;
    this.#opinions.set(endpoint.origin, opinion);
  }
}
