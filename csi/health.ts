// Tells over HTTP whether the plugin lives, whether it is ready, and what it has counted.
import { once } from "node:events";
import { createServer, type RequestListener } from "node:http";
import type { AddressInfo } from "node:net";
import { Failure } from "../lib/core/failure.ts";
import type { Exposition } from "../lib/host/metrics.ts";
import type { ListenAddress } from "../lib/settings/node-file.ts";

export type HealthDeps = {
  /** Whether clients reach the door; that this is asked at all shows that the event loop turns. */
  readonly isAlive: () => Promise<boolean>;
  /** Why the plugin is not ready; nothing when it is. */
  readonly problems: () => readonly string[];
  /** What is less than it could be although the plugin is ready, for whoever looks. */
  readonly notes?: readonly string[];
  readonly metrics: { expose(): Promise<Exposition> };
};

export interface Health extends AsyncDisposable {
  /** With the port that was chosen where the address asked for any. */
  readonly address: string;
}

type Page = { readonly status: number; readonly type: string; readonly text: string };

/** Serves `/healthz`, `/readyz` and `/metrics`. Throws `in-use` where the address is taken or is not ours. */
export async function openHealth({ host, port }: ListenAddress, deps: HealthDeps): Promise<Health> {
  const server = createServer({ requestTimeout: 10_000 }, serve(deps));
  try {
    // Without a host Node takes every address of both families, and goes without IPv6 where the node does.
    server.listen(port, host === "::" ? undefined : host);
    await once(server, "listening");
  } catch (cause) {
    const { code, message } = cause as NodeJS.ErrnoException;
    const why = code === "EADDRINUSE" ? "another process has that port" : message;
    const at = formatAddress(host, port);
    throw new Failure("in-use", `Cannot serve metrics at "${at}": ${why}; set another in metrics.address`, {
      cause,
    });
  }
  const bound = server.address() as AddressInfo;
  return {
    address: formatAddress(bound.address, bound.port),
    [Symbol.asyncDispose]: () =>
      new Promise<void>((resolve) => {
        server.close(() => {
          resolve();
        });
        server.closeAllConnections();
      }),
  };
}

const formatAddress = (host: string, port: number) => `${host.includes(":") ? `[${host}]` : host}:${port}`;

function serve(deps: HealthDeps): RequestListener {
  return (request, response) => {
    void pageFor(deps, request.method ?? "", request.url ?? "").then(({ status, type, text }) => {
      response.writeHead(status, { "content-type": type, "content-length": Buffer.byteLength(text) });
      response.end(request.method === "HEAD" ? "" : text);
    });
  };
}

async function pageFor(deps: HealthDeps, method: string, url: string): Promise<Page> {
  if (method !== "GET" && method !== "HEAD") return plain(405, "Only GET is answered here");
  try {
    const path = url.replace(/\?.*$/s, "");
    if (path === "/healthz") return await livePage(deps);
    if (path === "/readyz") return readyPage(deps);
    if (path === "/metrics") return await metricsPage(deps);
    return plain(404, "There are /healthz, /readyz and /metrics here");
  } catch {
    return plain(500, "Cannot tell: the plugin met an error of its own");
  }
}

async function livePage({ isAlive }: HealthDeps): Promise<Page> {
  return (await isAlive()) ? plain(200, "ok") : plain(503, "The socket is not where clients look for it");
}

async function metricsPage({ metrics }: HealthDeps): Promise<Page> {
  const { contentType, text } = await metrics.expose();
  return { status: 200, type: contentType, text };
}

function readyPage({ problems, notes = [] }: HealthDeps): Page {
  const found = problems();
  return found.length === 0 ? plain(200, ["ok", ...notes].join("\n")) : plain(503, found.join("\n"));
}

const plain = (status: number, text: string): Page => ({
  status,
  type: "text/plain; charset=utf-8",
  text: `${text}\n`,
});
