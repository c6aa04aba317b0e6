// Who may have what: proofs that a registry gave, remembered as salted hashes for a while.
import { createHmac } from "node:crypto";
import type { Access } from "../core/access.ts";
import type { Digest } from "../core/digest.ts";

/**
 * The registry as a source of bytes and of proofs. A transport that does not say who answers is another registry:
 * what it vouches for counts for those alone who ask it in the same way.
 */
export function registryOf(access: Access): string {
  const way = access.plainHttp === true ? "http+" : access.insecure === true ? "insecure+" : "";
  return `${way}${access.host.toLowerCase()}`;
}

/** The same repository, asked by nobody in particular. */
export function anonymously(access: Access): Access {
  const { credentials: _, origin: __, ...rest } = access;
  return rest;
}

const maxProofs = 10_000;

export class Proofs {
  readonly #until = new Map<string, { readonly from: number; readonly to: number }>();
  readonly #salt: Uint8Array;
  readonly #ttlMs: number;
  readonly #now: () => number;

  constructor(options: { readonly salt: Uint8Array; readonly ttlMs: number; readonly now: () => number }) {
    this.#salt = options.salt;
    this.#ttlMs = options.ttlMs;
    this.#now = options.now;
  }

  /** On whose behalf, in words that give nothing away; equal for equal credentials at one repository. */
  who(access: Access): string {
    return this.#hash([registryOf(access), access.repository, access.credentials ?? ""]);
  }

  /** Remembers that the named registry itself, never a mirror, answered this access for that manifest. */
  remember(access: Access, digest: Digest): void {
    const from = this.#now();
    if (this.#until.size >= maxProofs) this.#forgetOld(from);
    this.#until.set(this.#key(access, digest), { from, to: from + this.#ttlMs });
  }

  /** Whether a proof of this very access is alive. */
  has(access: Access, digest: Digest): boolean {
    const span = this.#until.get(this.#key(access, digest));
    const now = this.#now();
    // A clock that was set back must not lengthen a proof's life.
    return span !== undefined && now >= span.from && now < span.to;
  }

  /** Whether the registry answered an anonymous request for it, so that it is anybody's. */
  isOpen(access: Access, digest: Digest): boolean {
    return this.has(anonymously(access), digest);
  }

  #key(access: Access, digest: Digest): string {
    return this.#hash([registryOf(access), access.repository, digest, access.credentials ?? ""]);
  }

  #hash(words: readonly unknown[]): string {
    return createHmac("sha256", this.#salt).update(JSON.stringify(words)).digest("hex");
  }

  /** The expired, and of the others the oldest tenth, so that this is rare. */
  #forgetOld(now: number): void {
    for (const [key, { to }] of this.#until) if (to <= now) this.#until.delete(key);
    for (const key of this.#until.keys()) {
      if (this.#until.size <= maxProofs * 0.9) break;
      this.#until.delete(key);
    }
  }
}
