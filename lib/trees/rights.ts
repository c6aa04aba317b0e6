// Asks the named registry on behalf of each of a pod's credentials in turn, until one is let in.
import type { Access } from "../core/access.ts";
import type { Digest } from "../core/digest.ts";
import { type Failure, isFailure } from "../core/failure.ts";
import { formatReference, type Reference } from "../core/reference.ts";
import type { FetchedTag, Reader } from "../registry/reader.ts";
import { anonymously, type Proofs } from "./permission.ts";
import { SharedQuestions } from "./shared-questions.ts";

export class Rights {
  readonly #reader: Reader;
  readonly #proofs: Proofs;
  readonly #questions = new SharedQuestions();

  constructor(reader: Reader, proofs: Proofs) {
    this.#reader = reader;
    this.#proofs = proofs;
  }

  /**
   * The access that may have the manifest: by a proof that is alive, or by one obtained now at the named registry
   * itself. Failures: denied, not-found, unavailable.
   */
  async prove(accesses: readonly Access[], digest: Digest, signal: AbortSignal): Promise<Access> {
    const alive = accesses.find((access) => this.#proofs.has(access, digest));
    if (alive !== undefined) return alive;
    const open = accesses.find((access) => this.#proofs.isOpen(access, digest));
    if (open !== undefined) return anonymously(open);
    return await firstAllowed(accesses, async (access) => {
      const key = `prove ${this.#proofs.who(access)} ${digest}`;
      await this.#questions.ask(key, () => this.#reader.prove(access, digest, signal), signal);
      this.#proofs.remember(access, digest);
      return access;
    });
  }

  /** What the tag means now at the named registry itself, which is a proof, and its manifest. */
  async fetchTag(access: Access, reference: Reference, signal: AbortSignal): Promise<FetchedTag> {
    const fetched = await this.#reader.fetchTag(access, reference, signal);
    this.#proofs.remember(access, fetched.digest);
    return fetched;
  }

  /** What the tag means now, or meant within the last second. An answer of the registry itself is a proof too; a mirror's is none. */
  async resolve(accesses: readonly Access[], reference: Reference, signal: AbortSignal): Promise<Digest> {
    return await firstAllowed(accesses, async (access) => {
      const key = `resolve ${this.#proofs.who(access)} ${formatReference(reference)}`;
      const ask = () => this.#reader.resolve(access, reference, signal);
      const { digest, source } = await this.#questions.ask(key, ask, signal);
      if (source.kind === "upstream") this.#proofs.remember(access, digest);
      return digest;
    });
  }
}

/** Registries disguise a refusal as `not-found`, so that goes on to the next one too. A refusal is told before it. */
async function firstAllowed<T>(accesses: readonly Access[], ask: (access: Access) => Promise<T>): Promise<T> {
  const refusals: Failure[] = [];
  for (const access of accesses) {
    try {
      return await ask(access);
    } catch (error) {
      if (!isFailure(error, "denied") && !isFailure(error, "not-found")) throw error;
      refusals.push(error);
    }
  }
  throw (
    refusals.find(({ reason }) => reason === "denied") ??
    refusals[0] ??
    new TypeError("no access to ask with")
  );
}
