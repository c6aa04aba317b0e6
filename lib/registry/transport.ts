// HTTP/1.1 with keep-alive: one pool of connections for each way a host is trusted.
import tls from "node:tls";
// Not all of undici: its WebSockets and the like would be in the memory of each thread that receives.
import Agent from "undici/lib/dispatcher/agent.js";
import type { Trust } from "./endpoint.ts";
import { Incoming, type Reply } from "./incoming.ts";
import { readInPlace } from "./read-in-place.ts";

export type TransportOptions = {
  /** How long a host may take to answer a request with headers. */
  readonly headersTimeoutMs?: number;
  /** How long a body may pause. */
  readonly bodyTimeoutMs?: number;
  readonly dialTimeoutMs?: number;
};

export type Outgoing = {
  readonly method: "GET" | "HEAD" | "POST";
  readonly url: URL;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string;
  readonly trust: Trust;
};

/** Sends what it is told to; follows no redirect and retries nothing. */
export interface Sender<R extends Reply> extends AsyncDisposable {
  /** Resolves once status and headers are here; rejects with the socket's error or the signal's reason. */
  send(outgoing: Outgoing, signal: AbortSignal): Promise<R>;
}

export class Transport implements Sender<Incoming> {
  readonly #agents = new Map<string, Agent>();
  readonly #options: TransportOptions;
  readonly #onread = readInPlace();

  constructor(options: TransportOptions) {
    this.#options = options;
  }

  async send(outgoing: Outgoing, signal: AbortSignal): Promise<Incoming> {
    signal.throwIfAborted();
    const { method, url, headers, body } = outgoing;
    const incoming = new Incoming(signal);
    this.#agentFor(outgoing.trust).dispatch(
      {
        origin: url.origin,
        path: `${url.pathname}${url.search}`,
        method,
        headers: { "accept-encoding": "identity", "user-agent": "larder", ...headers },
        ...(body === undefined ? {} : { body }),
      },
      incoming,
    );
    return await incoming.started;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([...this.#agents.values()].map(async (agent) => await agent.destroy()));
  }

  #agentFor(trust: Trust): Agent {
    const key = JSON.stringify(trust);
    const known = this.#agents.get(key);
    if (known !== undefined) return known;
    const agent = new Agent({
      allowH2: false,
      pipelining: 1,
      keepAliveTimeout: 20_000,
      headersTimeout: this.#options.headersTimeoutMs ?? 30_000,
      bodyTimeout: this.#options.bodyTimeoutMs ?? 30_000,
      connect: {
        onread: this.#onread,
        timeout: trust.dialTimeoutMs ?? this.#options.dialTimeoutMs ?? 10_000,
        ...(trust.skipVerify === true ? { rejectUnauthorized: false } : {}),
        ...(trust.ca === undefined ? {} : { ca: [...tls.getCACertificates("default"), ...trust.ca] }),
        ...(trust.client === undefined ? {} : { cert: trust.client.certificate, key: trust.client.key }),
      },
    });
    this.#agents.set(key, agent);
    return agent;
  }
}
