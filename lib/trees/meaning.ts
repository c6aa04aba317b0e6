// Which manifest a Reference means for a request, by its policy: asked now, remembered, or begun with.
import type { Access } from "../core/access.ts";
import type { Digest } from "../core/digest.ts";
import { Failure, isFailure } from "../core/failure.ts";
import { formatReference, type Reference } from "../core/reference.ts";
import { registryOf } from "./permission.ts";
import type { Rights } from "./rights.ts";
import { defaultPolicy, type PullPolicy, type Tags } from "./tags.ts";

export type MeaningDeps = {
  readonly rights: Rights;
  readonly tags: Tags;
  readonly now: () => number;
  /** Whether `Always` may serve what the tag last meant while the registry is down. */
  readonly staleTags: boolean;
};

export type Asked = {
  readonly accesses: readonly Access[];
  readonly reference: Reference;
  readonly policy?: PullPolicy;
  /** Equal for calls that ask for the same on the same behalf. */
  readonly call: string;
  /** Whether what the digest stands for in this request is here. */
  readonly isHere: (digest: Digest) => boolean;
};

export type Meaning = {
  readonly digest: Digest;
  readonly notes: readonly string[];
  /** Whether a tag's meaning of before was taken, unasked: the registry may have let go of that manifest since. */
  readonly isOld: boolean;
};

type Begun = { readonly digest: Digest; readonly sinceMs: number; readonly away: number };

/** A registry that does not answer within this is down, where there is something else to serve. */
const patienceMs = 10_000;
/** How long those who went away find what they began with: longer than any caller backs off. */
const awayMs = 5 * 60 * 1000;

export class Meanings {
  readonly #deps: MeaningDeps;
  readonly #begun = new Map<string, Begun>();

  constructor(deps: MeaningDeps) {
    this.#deps = deps;
  }

  /** Failures: not-found (also for `Never` and nothing here), denied, unavailable. */
  async resolve(asked: Asked, signal: AbortSignal): Promise<Meaning> {
    const { reference } = asked;
    const policy = asked.policy ?? defaultPolicy(reference);
    const last = reference.digest ?? this.#lastOf(asked);
    const fixed = this.#fixed(asked, policy, last);
    if (fixed !== undefined) {
      const isOld = reference.digest === undefined && policy !== "Never";
      return { digest: fixed, notes: [], isOld };
    }
    try {
      const patience = policy === "Always" && last !== undefined && this.#deps.staleTags;
      return { digest: await this.#ask(asked, patience, signal), notes: [], isOld: false };
    } catch (error) {
      if (!isFailure(error, "unavailable") || policy !== "Always") throw error;
      return this.#stale(asked, last, error);
    }
  }

  /** What the tag means now, whatever was begun with or remembered. Failures: not-found, denied, unavailable. */
  async renew(asked: Asked, signal: AbortSignal): Promise<Meaning> {
    this.forget(asked.call);
    return { digest: await this.#ask(asked, false, signal), notes: [], isOld: false };
  }

  /** One who waited went away: whoever asks the same again means the same, wherever the tag has moved. */
  leave(call: string, digest: Digest): void {
    const sinceMs = this.#deps.now();
    for (const [old, begun] of this.#begun) if (!this.#isAlive(begun)) this.#begun.delete(old);
    this.#begun.set(call, { digest, sinceMs, away: (this.#begun.get(call)?.away ?? 0) + 1 });
  }

  /** One is served. */
  serve(call: string): void {
    const begun = this.#begun.get(call);
    if (begun === undefined) return;
    if (begun.away > 1) this.#begun.set(call, { ...begun, away: begun.away - 1 });
    else this.#begun.delete(call);
  }

  /** What was begun has failed: the next who asks starts afresh. */
  forget(call: string): void {
    this.#begun.delete(call);
  }

  #isAlive({ sinceMs }: Begun): boolean {
    return Math.abs(this.#deps.now() - sinceMs) < awayMs;
  }

  /** What needs no question to a registry. */
  #fixed(asked: Asked, policy: PullPolicy, last: Digest | undefined): Digest | undefined {
    const { reference, isHere } = asked;
    if (policy === "Never" && (last === undefined || !isHere(last))) {
      throw new Failure(
        "not-found",
        `Cannot use ${formatReference(reference)}: it is not on this node, and the pull policy is Never; use IfNotPresent, or bring it here first`,
      );
    }
    if (reference.digest !== undefined || policy === "Never") return last;
    const begun = this.#begun.get(asked.call);
    if (begun !== undefined && this.#isAlive(begun)) return begun.digest;
    return policy === "IfNotPresent" && last !== undefined && isHere(last) ? last : undefined;
  }

  async #ask({ accesses, reference }: Asked, patience: boolean, signal: AbortSignal): Promise<Digest> {
    if (!patience) return await this.#deps.rights.resolve(accesses, reference, signal);
    const timeout = AbortSignal.timeout(patienceMs);
    try {
      return await this.#deps.rights.resolve(accesses, reference, AbortSignal.any([signal, timeout]));
    } catch (error) {
      if (signal.aborted || !timeout.aborted) throw error;
      throw new Failure("unavailable", `the registry did not answer within ${patienceMs / 1000} s`, {
        cause: error,
      });
    }
  }

  #stale({ reference }: Asked, last: Digest | undefined, error: Failure): Meaning {
    if (last === undefined || !this.#deps.staleTags) throw error;
    const note = `The registry ${reference.host} cannot be reached, so ${formatReference(reference)} is what it last meant here, ${last}: ${error.message}`;
    return { digest: last, notes: [note], isOld: false };
  }

  async remember(asked: Asked, digest: Digest): Promise<void> {
    const named = toNamed(asked);
    if (named !== undefined) await this.#deps.tags.remember(named, digest);
  }

  #lastOf(asked: Asked): Digest | undefined {
    const named = toNamed(asked);
    return named === undefined ? undefined : this.#deps.tags.read(named);
  }
}

function toNamed({ accesses, reference }: Asked) {
  const [access] = accesses;
  if (access === undefined || reference.digest !== undefined) return undefined;
  return {
    registry: registryOf(access),
    repository: reference.repository,
    tag: reference.tag ?? "latest",
  };
}
