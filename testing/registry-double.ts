// A registry in this process that misbehaves on purpose, over real HTTP, and remembers what it was asked.
import { once } from "node:events";
import http, { type IncomingMessage, type ServerResponse } from "node:http";
import https from "node:https";
import type { AddressInfo } from "node:net";
import { type Digest, digestOf } from "../lib/core/digest.ts";
import { cutUpload, type Misbehaviour, sendSpoilt } from "./faults.ts";
import { type DoubleAuth, Guard } from "./guard.ts";
import { PushSide } from "./push-side.ts";
import { type Asked, json, type Reply, rangeReply, send } from "./wire.ts";

export type DoubleOptions = {
  readonly auth?: DoubleAuth;
  readonly tls?: { readonly key: string; readonly cert: string };
  /** Leaves Docker-Content-Digest out, or lies. */
  readonly digestHeader?: "none" | Digest;
  /** Answers requests for blobs with a redirect to this address. */
  readonly storage?: (digest: Digest) => string;
};

export type SavedRegistry = {
  readonly blobs: ReadonlyArray<readonly [Digest, string]>;
  readonly manifests: ReadonlyArray<
    readonly [string, { readonly bytes: string; readonly mediaType: string }]
  >;
};

const textOf = (bytes: Uint8Array) => Buffer.from(bytes).toString("base64");

type Hold = { readonly matches: (asked: Asked) => boolean; readonly until: Promise<void> };
type Rule = { readonly matches: (asked: Asked) => boolean; left: number; readonly fault: Misbehaviour };

export class RegistryDouble implements AsyncDisposable {
  readonly asked: Asked[] = [];
  readonly guard: Guard;
  /** Answers 200 and everything to every range. */
  ignoreRanges = false;
  readonly #blobs = new Map<Digest, Uint8Array>();
  readonly #manifests = new Map<string, { readonly bytes: Uint8Array; readonly mediaType: string }>();
  /** What is written to it, and how it spoils that. */
  readonly pushes = new PushSide({ blobs: this.#blobs, manifests: this.#manifests });
  readonly #rules: Rule[] = [];
  readonly #holds = new Set<Hold>();
  readonly #sent = new Map<Digest, number>();
  readonly #server: http.Server;
  readonly #options: DoubleOptions;
  /** The most requests that were being answered at the same time. */
  mostAtOnce = 0;
  #atOnce = 0;
  #connections = 0;

  constructor(options: DoubleOptions = {}) {
    this.#options = options;
    this.guard = new Guard(options.auth);
    const answer = (request: IncomingMessage, response: ServerResponse) => {
      void this.#answer(request, response).catch((error: unknown) => {
        // Who asks may go away in the middle.
        if (!request.destroyed) throw error;
      });
    };
    this.#server =
      options.tls === undefined ? http.createServer(answer) : https.createServer(options.tls, answer);
    this.#server.on(options.tls === undefined ? "connection" : "secureConnection", (socket: object) => {
      this.#connections += 1;
      Object.assign(socket, { connection: this.#connections });
    });
  }

  /** On a free port, unless the machine is all ours and what comes later must find it again. */
  async listen(port = 0): Promise<this> {
    this.#server.listen(port, "127.0.0.1");
    await once(this.#server, "listening");
    this.guard.realm = `${this.origin}/token`;
    return this;
  }

  get host(): string {
    return `127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  get origin(): string {
    return `${this.#options.tls === undefined ? "http" : "https"}://${this.host}`;
  }

  get connections(): number {
    return this.#connections;
  }

  blob(bytes: Uint8Array | string, as?: Digest): { readonly digest: Digest; readonly size: number } {
    const content = Buffer.from(bytes);
    const digest = as ?? digestOf(content);
    this.#blobs.set(digest, content);
    return { digest, size: content.length };
  }

  /** Under its digest (or another, to lie), and the tags. */
  manifest(
    bytes: Uint8Array | string,
    options: { readonly tags?: string[]; readonly mediaType?: string; readonly as?: Digest } = {},
  ): Digest {
    const content = Buffer.from(bytes);
    const digest = options.as ?? digestOf(content);
    const mediaType = options.mediaType ?? "application/vnd.oci.image.manifest.v1+json";
    for (const name of [digest, ...(options.tags ?? [])])
      this.#manifests.set(name, { bytes: content, mediaType });
    return digest;
  }

  /** The next `times` requests whose path contains `part` are answered so; earlier rules come first. */
  spoil(part: string, fault: Misbehaviour, times = 1): void {
    this.#rules.push({ matches: ({ path }) => path.includes(part), left: times, fault });
  }

  /** As `spoil`, by anything that can be seen of a request. */
  spoilWhere(matches: (asked: Asked) => boolean, fault: Misbehaviour, times = 1): void {
    this.#rules.push({ matches, left: times, fault });
  }

  /** Requests that match wait until it is released, and are answered then. */
  hold(matches: (asked: Asked) => boolean): { readonly release: () => void } {
    const { promise, resolve } = Promise.withResolvers<void>();
    const hold = { matches, until: promise };
    this.#holds.add(hold);
    return {
      release: () => {
        this.#holds.delete(hold);
        resolve();
      },
    };
  }

  /** All that it holds, as JSON can have it. */
  save(): SavedRegistry {
    const blobs = [...this.#blobs].map(([digest, bytes]) => [digest, textOf(bytes)] as const);
    const manifests = [...this.#manifests].map(
      ([name, { bytes, mediaType }]) => [name, { bytes: textOf(bytes), mediaType }] as const,
    );
    return { blobs, manifests };
  }

  /** Holds what another held, too. */
  restore({ blobs, manifests }: SavedRegistry): void {
    for (const [digest, bytes] of blobs) this.#blobs.set(digest, Buffer.from(bytes, "base64"));
    for (const [name, { bytes, mediaType }] of manifests)
      this.#manifests.set(name, { bytes: Buffer.from(bytes, "base64"), mediaType });
  }

  /** Behaves from now on. */
  mend(): void {
    this.#rules.length = 0;
  }

  /** How often something whose path contains `part` was asked for. */
  count(part: string): number {
    return this.asked.filter(({ path }) => path.includes(part)).length;
  }

  /** Bytes of bodies of this blob that were handed to sockets. */
  bytesSent(digest: Digest): number {
    return this.#sent.get(digest) ?? 0;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    this.#server.close();
    await once(this.#server, "close");
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? "/", this.origin);
    const socket = request.socket as unknown as { connection?: number };
    const asked: Asked = {
      method: request.method ?? "",
      path: url.pathname,
      query: url.search,
      headers: request.headers,
      connection: socket.connection ?? 0,
    };
    this.asked.push(asked);
    this.#atOnce += 1;
    this.mostAtOnce = Math.max(this.mostAtOnce, this.#atOnce);
    response.on("close", () => {
      this.#atOnce -= 1;
    });
    for (const { matches, until } of this.#holds) if (matches(asked)) await until;
    // Whoever asked may have gone while it was held.
    if (request.destroyed) return;
    const rule = this.#rules.find(({ matches, left }) => left > 0 && matches(asked));
    if (rule?.fault.kind === "cut-upload") {
      rule.left -= 1;
      return await cutUpload(request, rule.fault.after);
    }
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(Buffer.from(chunk as Uint8Array));
    const refused = rule?.fault.kind === "status" && asked.method !== "GET" && asked.method !== "HEAD";
    const reply = refused ? json(500, {}) : this.#reply(asked, url, Buffer.concat(chunks));
    if (rule !== undefined) {
      rule.left -= 1;
      return sendSpoilt(response, reply, rule.fault);
    }
    send(response, reply);
  }

  #reply(asked: Asked, url: URL, body: Buffer): Reply {
    if (url.pathname === "/token") return json(...this.guard.grant(asked, url, body.toString()));
    const refusal = this.guard.refusal(asked);
    if (refusal !== undefined) return json(...refusal);
    const written = this.pushes.reply(asked, url, body);
    if (written !== undefined) return written;
    const [, kind, name] = /^\/.*\/(manifests|blobs)\/([^/]+)$/.exec(url.pathname) ?? [];
    if (kind === "manifests") return this.#manifestReply(name ?? "");
    if (kind === "blobs") return this.#blobReply(name as Digest, asked);
    return url.pathname === "/v2/" ? json(200, {}) : json(404, {});
  }

  #manifestReply(name: string): Reply {
    const found = this.#manifests.get(name);
    if (found === undefined) return json(404, {});
    const told = this.#options.digestHeader ?? digestOf(found.bytes);
    const headers = {
      "content-type": found.mediaType,
      ...(told === "none" ? {} : { "docker-content-digest": told }),
    };
    return { status: 200, headers, body: found.bytes, whole: found.bytes };
  }

  #blobReply(digest: Digest, asked: Asked): Reply {
    const whole = this.#blobs.get(digest);
    if (whole === undefined) return json(404, {});
    const { storage } = this.#options;
    if (storage !== undefined) return json(307, { location: storage(digest) });
    const reply = rangeReply(whole, this.ignoreRanges ? { ...asked, headers: {} } : asked);
    this.#sent.set(digest, this.bytesSent(digest) + reply.body.length);
    return reply;
  }
}

export async function openRegistryDouble(options?: DoubleOptions): Promise<RegistryDouble> {
  return await new RegistryDouble(options).listen();
}
