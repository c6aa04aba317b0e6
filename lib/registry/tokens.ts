// What is sent as Authorization: asked for when a registry answers 401, kept for as long as it holds.
import { createHash, randomBytes } from "node:crypto";
import type { Access, Credentials } from "../core/access.ts";
import { type Challenge, parseChallenges } from "../core/challenge.ts";
import { type Endpoint, formatEndpoint } from "./endpoint.ts";
import { fetchToken, formatBasic } from "./token-server.ts";
import type { Transport } from "./transport.ts";

/** Who asks whom. */
export type Party = { readonly endpoint: Endpoint; readonly access: Access };

export type TokenDeps = {
  readonly transport: Transport;
  readonly now: () => number;
  /** Ends the requests for tokens, which no single caller owns. */
  readonly closing: AbortSignal;
};

type Grant = { readonly header: string; readonly expiresAt: number; readonly challenge?: Challenge };

/** `isNew`: made for the question at hand. What others had renewed before may be used up, too. */
type Better = { readonly header: string; readonly isNew: boolean };

/** A token is renewed this long before it expires, so that none expires on its way. */
const MARGIN_MS = 10_000;
const MOST_GRANTS = 4_096;

export class Tokens {
  readonly #grants = new Map<string, Grant>();
  readonly #flights = new Map<string, Promise<Grant>>();
  readonly #salt = randomBytes(16);
  readonly #deps: TokenDeps;

  constructor(deps: TokenDeps) {
    this.#deps = deps;
  }

  /** What to send at first; undefined to ask without. */
  async authorization(party: Party): Promise<string | undefined> {
    const credentials = credentialsFor(party);
    if (credentials?.kind === "registry") return `Bearer ${credentials.token}`;
    const grant = this.#grants.get(this.#keyOf(party));
    if (grant === undefined) return undefined;
    if (this.#deps.now() < grant.expiresAt - MARGIN_MS) return grant.header;
    if (grant.challenge === undefined) return undefined;
    return (await this.#renew(party, grant.challenge)).header;
  }

  /** What to send after `header` (WWW-Authenticate) came back for `used`; undefined when there is nothing better. */
  async answer(party: Party, header: string, used: string | undefined): Promise<Better | undefined> {
    const credentials = credentialsFor(party);
    if (credentials?.kind === "registry") return undefined;
    const known = this.#grants.get(this.#keyOf(party));
    if (known !== undefined && known.header !== used && this.#deps.now() < known.expiresAt)
      return { header: known.header, isNew: false };
    const challenges = parseChallenges(header);
    const bearer = challenges.find(
      ({ scheme, parameters }) => scheme === "bearer" && parameters.has("realm"),
    );
    if (bearer !== undefined) return { header: (await this.#renew(party, bearer)).header, isNew: true };
    if (!challenges.some(({ scheme }) => scheme === "basic") || credentials?.kind !== "basic")
      return undefined;
    const grant = { header: formatBasic(credentials), expiresAt: Number.POSITIVE_INFINITY };
    if (grant.header === used) return undefined;
    this.#keep(this.#keyOf(party), grant);
    return { header: grant.header, isNew: true };
  }

  /** Many ranges may meet the same 401 at once: one asks, all take what it brought. */
  #renew(party: Party, challenge: Challenge): Promise<Grant> {
    const key = this.#keyOf(party);
    const flying = this.#flights.get(key);
    if (flying !== undefined) return flying;
    const flight = this.#fetch(party, challenge)
      .then((grant) => {
        this.#keep(key, grant);
        return grant;
      })
      .finally(() => this.#flights.delete(key));
    this.#flights.set(key, flight);
    return flight;
  }

  async #fetch(party: Party, challenge: Challenge): Promise<Grant> {
    const { transport, now, closing } = this.#deps;
    const asked = now();
    const request = {
      challenge,
      credentials: credentialsFor(party),
      access: party.access,
      registry: party.endpoint.origin,
      trust: party.endpoint.trust,
      who: `the token server of ${formatEndpoint(party.endpoint)}`,
    };
    const { token, lifetimeMs } = await fetchToken({ transport, now }, request, closing);
    return { header: `Bearer ${token}`, expiresAt: asked + lifetimeMs, challenge };
  }

  #keep(key: string, grant: Grant): void {
    this.#grants.delete(key);
    this.#grants.set(key, grant);
    const oldest = this.#grants.keys().next();
    if (this.#grants.size > MOST_GRANTS && oldest.done === false) this.#grants.delete(oldest.value);
  }

  #keyOf(party: Party): string {
    const credentials = JSON.stringify(credentialsFor(party) ?? null);
    const who = createHash("sha256").update(this.#salt).update(credentials).digest("base64");
    return `${party.endpoint.origin}${party.endpoint.prefix} ${party.access.repository} ${who}`;
  }
}

/** Upstream's credentials never go to a mirror; what a mirror wants stands in its configured headers. */
export function credentialsFor({ endpoint, access }: Party): Credentials | undefined {
  return endpoint.kind === "upstream" ? access.credentials : undefined;
}
