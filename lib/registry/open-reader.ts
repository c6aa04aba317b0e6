// The reader over HTTP: puts the parts of this room together, and turns their faults into Failures.
import { setMaxListeners } from "node:events";
import type { Access } from "../core/access.ts";
import { type Digest, digestOf, parseDigest } from "../core/digest.ts";
import { isFailure } from "../core/failure.ts";
import { formatReference, type Reference } from "../core/reference.ts";
import { type AskDeps, isAlive } from "./ask.ts";
import { type BlobDeps, bringBlob } from "./blob.ts";
import type { Endpoint } from "./endpoint.ts";
import { Fault, failureOf } from "./fault.ts";
import { heldAt } from "./holdings.ts";
import type { HostBook } from "./hosts.ts";
import type { Limits } from "./limits.ts";
import { fetchConfigAt, fetchManifestAt, proveAt, resolveAt } from "./manifests.ts";
import { MirrorHealth } from "./mirror-health.ts";
import { type PersistDeps, persist } from "./persist.ts";
import type { BlobSink, FetchedManifest, FetchedTag, Reader, Resolved, WantedBlob } from "./reader.ts";
import { Receivers } from "./receivers.ts";
import { type Party, Tokens } from "./tokens.ts";
import { Transport, type TransportOptions } from "./transport.ts";
import { Troubles } from "./troubles.ts";
import type { BlobName, Held, Standing, Upstream } from "./upstream.ts";

export type ReaderOptions = PersistDeps & {
  readonly hosts: HostBook;
  readonly limits: Limits;
  readonly timeouts?: TransportOptions;
  /** How many threads receive blobs at most. */
  readonly receivers?: number;
};

/** Each needs about a core to itself; more than these the disk seldom takes. */
const RECEIVERS = 2;

/** Which hosts are asked: those that may, in their order, or the registry that is named alone. */
type Who = "resolves" | "pulls" | "upstream";

export function openReader(options: ReaderOptions): Reader & Upstream {
  return new HttpReader(options);
}

class HttpReader implements Reader, Upstream {
  readonly #options: ReaderOptions;
  readonly #transport: Transport;
  readonly #receivers: Receivers;
  readonly #closing = new AbortController();
  readonly #health: MirrorHealth;
  readonly #ask: AskDeps;
  readonly #troubles = new Troubles();

  constructor(options: ReaderOptions) {
    const { now, observe } = options;
    const transport = new Transport(options.timeouts ?? {});
    const closing = this.#closing.signal;
    setMaxListeners(0, closing);
    this.#options = options;
    this.#transport = transport;
    this.#receivers = new Receivers({
      threads: options.receivers ?? RECEIVERS,
      ...(options.timeouts === undefined ? {} : { timeouts: options.timeouts }),
    });
    this.#ask = { transport, now, tokens: new Tokens({ transport, now, closing }) };
    const probe = async (endpoint: Endpoint, signal: AbortSignal) =>
      await isAlive(this.#ask, endpoint, signal);
    this.#health = new MirrorHealth({ now, observe, closing, probe });
  }

  async resolve(access: Access, reference: Reference, signal: AbortSignal): Promise<Resolved> {
    return await this.#fromAny(
      { access, who: "resolves", what: `resolve ${formatReference(reference)}` },
      async (party, within) => await resolveAt(this.#ask, { party, ...reference }, within),
      signal,
    );
  }

  async fetchTag(access: Access, reference: Reference, signal: AbortSignal): Promise<FetchedTag> {
    const name = reference.tag ?? "latest";
    const fetched = await this.#fromAny(
      { access, who: "upstream", what: `read ${formatReference(reference)}` },
      async (party, within) => await fetchManifestAt(this.#ask, { party, name, digest: undefined }, within),
      signal,
    );
    return { ...fetched, digest: digestOf(fetched.bytes) };
  }

  async fetchManifest(access: Access, digest: Digest, signal: AbortSignal): Promise<FetchedManifest> {
    return await this.#fromAny(
      { access, who: "pulls", what: `pull ${nameOf(access)}@${digest}` },
      async (party, within) => await fetchManifestAt(this.#ask, { party, name: digest, digest }, within),
      signal,
    );
  }

  async fetchConfig(access: Access, digest: Digest, signal: AbortSignal): Promise<Uint8Array> {
    return await this.#fromAny(
      { access, who: "pulls", what: `pull the image config ${digest} of ${nameOf(access)}` },
      async (party, within) => await fetchConfigAt(this.#ask, { party, digest }, within),
      signal,
    );
  }

  warm(): void {
    this.#receivers.warm();
  }

  async prove(access: Access, digest: Digest, signal: AbortSignal): Promise<void> {
    await this.#fromAny(
      { access, who: "upstream", what: `use ${nameOf(access)}@${digest}` },
      async (party, within) => await proveAt(this.#ask, { party, digest }, within),
      signal,
    );
  }

  async holds(access: Access, blob: BlobName, signal: AbortSignal): Promise<Held> {
    return await this.#fromAny(
      { access, who: "upstream", what: `ask for the blob ${blob.digest} of ${nameOf(access)}` },
      async (party, within) => await heldAt(this.#ask, { party, blob }, within),
      signal,
    );
  }

  async standing(access: Access, name: string, signal: AbortSignal): Promise<Standing | undefined> {
    const digest = name.includes(":") ? parseDigest(name) : undefined;
    try {
      const { bytes, mediaType } = await this.#fromAny(
        { access, who: "upstream", what: `ask for ${nameOf(access)}${digest ? "@" : ":"}${name}` },
        async (party, within) => await fetchManifestAt(this.#ask, { party, name, digest }, within),
        signal,
      );
      return { digest: digestOf(bytes), bytes, mediaType };
    } catch (error) {
      if (isFailure(error, "not-found")) return undefined;
      throw error;
    }
  }

  async fetchBlob(access: Access, blob: WantedBlob, sink: BlobSink, signal: AbortSignal): Promise<void> {
    const able = await this.#hostsFor(access, blob.upstreamOnly === true ? "upstream" : "pulls");
    using observe = this.#troubles.follow(access, this.#options.observe);
    const failed = (endpoint: Endpoint, fault: Fault) => this.#failed(endpoint, fault);
    const deps: BlobDeps = { ...this.#options, ...this.#ask, transport: this.#receivers, observe, failed };
    const what = `pull the blob ${blob.digest} of ${nameOf(access)}`;
    await this.#told(what, signal, async (within) => {
      const routes = (await this.#living(able, what)).map((endpoint) => ({
        party: { endpoint, access },
        faults: 0,
      }));
      try {
        await bringBlob(deps, { blob, sink, routes, group: nameOf(access) }, within);
      } catch (error) {
        signal.throwIfAborted();
        throw error;
      }
    });
  }

  readonly troubleOf = (access: Access) => this.#troubles.of(access);

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort(new Fault("unavailable", "the plugin stops", { tries: 1 }));
    await Promise.all([this.#transport, this.#receivers].map(async (it) => await it[Symbol.asyncDispose]()));
  }

  /** Asks the endpoints in turn, and all of them again where that may help; the last one's word is final. */
  async #fromAny<T>(
    { access, who, what }: { readonly access: Access; readonly who: Who; readonly what: string },
    attempt: (party: Party, signal: AbortSignal) => Promise<T>,
    signal: AbortSignal,
  ): Promise<T> {
    const able = await this.#hostsFor(access, who);
    return await this.#told(what, signal, async (within) => {
      const round = async () => {
        const endpoints = await this.#living(able, what);
        for (const endpoint of endpoints) {
          using _slot = await this.#options.limits.questions.take(
            { group: "", line: nameOf(access) },
            within,
          );
          try {
            return await attempt({ endpoint, access }, within);
          } catch (error) {
            within.throwIfAborted();
            if (!(error instanceof Fault)) throw error;
            this.#failed(endpoint, error);
            if (endpoint === endpoints.at(-1)) throw error;
          }
        }
        throw new Error("no endpoint was asked");
      };
      using observe = this.#troubles.follow(access, this.#options.observe);
      return await persist({ ...this.#options, observe }, access.host, round, within);
    });
  }

  async #hostsFor(access: Access, who: Who): Promise<readonly Endpoint[]> {
    const { order, upstream } = await this.#options.hosts.hostsFor(access);
    return who === "upstream" ? [upstream] : order.filter((endpoint) => endpoint[who]);
  }

  /** Dead mirrors are passed by, unless there is nobody else. */
  async #living(endpoints: readonly Endpoint[], what: string): Promise<readonly Endpoint[]> {
    const living = await this.#health.living(endpoints);
    if (endpoints.length > 0) return living.length > 0 ? living : endpoints;
    const fault = new Fault("unavailable", "no host that is configured for it may be asked", {
      tries: 1,
      help: 'check the "capabilities" of its mirrors',
    });
    throw failureOf(fault, what);
  }

  #failed(endpoint: Endpoint, fault: Fault): void {
    if (fault.facts.silent === true) this.#health.report(endpoint, fault.message);
  }

  async #told<T>(what: string, signal: AbortSignal, act: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const within = AbortSignal.any([signal, this.#closing.signal]);
    setMaxListeners(0, within);
    try {
      return await act(within);
    } catch (error) {
      if (error instanceof Fault) throw failureOf(error, what);
      signal.throwIfAborted();
      throw error;
    }
  }
}

const nameOf = ({ host, repository }: Access) => `${host}/${repository}`;
