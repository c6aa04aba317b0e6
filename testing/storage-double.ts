// Storage to which a registry redirects: it serves who shows a signature that has not expired, and nobody else.
import { once } from "node:events";
import http from "node:http";
import type { AddressInfo } from "node:net";
import type { Digest } from "../lib/core/digest.ts";
import { type Asked, json, rangeReply, send } from "./wire.ts";

export class StorageDouble implements AsyncDisposable {
  readonly asked: Asked[] = [];
  signed = 0;
  readonly #good = new Set<string>();
  readonly #objects = new Map<string, Uint8Array>();
  readonly #server = http.createServer((request, response) => {
    const url = new URL(request.url ?? "/", "http://storage");
    const asked: Asked = {
      method: request.method ?? "",
      path: url.pathname,
      query: url.search,
      headers: request.headers,
      connection: 0,
    };
    this.asked.push(asked);
    const object = this.#objects.get(url.pathname.slice(1));
    if (!this.#good.has(url.searchParams.get("signature") ?? "")) return send(response, json(403, {}));
    send(response, object === undefined ? json(404, {}) : rangeReply(object, asked));
  });

  async listen(): Promise<this> {
    this.#server.listen(0, "127.0.0.1");
    await once(this.#server, "listening");
    return this;
  }

  object(digest: Digest, bytes: Uint8Array): void {
    this.#objects.set(digest, bytes);
  }

  /** An address that works until the next `expire`. */
  sign(digest: Digest): string {
    this.signed += 1;
    this.#good.add(String(this.signed));
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/${digest}?signature=${this.signed}`;
  }

  expire(): void {
    this.#good.clear();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    this.#server.close();
    await once(this.#server, "close");
  }
}
