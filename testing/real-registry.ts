// A real registry (CNCF distribution) on a free loopback port, for as long as a test needs it.
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import http from "node:http";
import https from "node:https";
import os from "node:os";
import path from "node:path";
import { execa } from "execa";
import { tool } from "./tool.ts";

/** Whom a registry with `password: true` lets in. */
export const registryUser = { username: "larder", password: "pantry" } as const;

/** bcrypt of the password above, computed once: Node has no bcrypt. */
const HTPASSWD = "larder:$2b$04$abcdefghijklmnopqrstuubnkrEtXlHKr9RCSAEXDZnD3CekbI1tS\n";

export type RealRegistry = AsyncDisposable & {
  /** `127.0.0.1:PORT`, over plain HTTP unless `tls` was given. */
  readonly host: string;
  /** Its folder (`docker/registry/v2/…`), for tests that break what it holds. */
  readonly storage: string;
  readonly pid: number;
  /** Ends it and keeps its storage: a registry that is down. Disposal does this too. */
  stop(): Promise<void>;
};

export type RealRegistryOptions = {
  /** Only `registryUser` is let in. */
  readonly password?: boolean;
  /** Paths of a certificate and its key in PEM. */
  readonly tls?: { readonly certificate: string; readonly key: string };
  /** Where it listens; by default a port that is free. To come back after `stop()`: `{ host, storage }` of before. */
  readonly host?: string;
  readonly storage?: string;
  /** A file for one line per request, in Apache's combined format. */
  readonly accessLog?: string;
};

/** Starts a registry and returns when it answers, having checked that the one that answers is this one. */
export async function openRealRegistry(options: RealRegistryOptions = {}): Promise<RealRegistry> {
  const program = await tool("registry");
  const folder = await mkdtemp(path.join(os.tmpdir(), "larder-registry-"));
  const storage = options.storage ?? path.join(folder, "storage");
  const mark = randomUUID();
  let stop = async () => {};
  try {
    const config = path.join(folder, "config.json");
    await writeFile(path.join(folder, "htpasswd"), HTPASSWD);
    await writeFile(config, JSON.stringify(configOf(options, { folder, storage, mark })));
    const child = execa(program, ["serve", config], {
      stdin: "ignore",
      stdout: options.accessLog === undefined ? "ignore" : { file: options.accessLog, append: true },
      buffer: false,
      // Go listens for multipath TCP by itself, whose sockets know no pacing.
      env: { OTEL_TRACES_EXPORTER: "none", GODEBUG: "multipathtcp=0" },
    });
    stop = async () => {
      child.kill("SIGKILL");
      await child.catch(() => {});
    };
    const host = await listening(child.iterable({ from: "stderr" }));
    await checkMark(`${options.tls === undefined ? "http" : "https"}://${host}`, mark);
    const dispose = async () => {
      await stop();
      await rm(folder, { recursive: true, force: true });
    };
    return { host, storage, pid: child.pid ?? 0, stop, [Symbol.asyncDispose]: dispose };
  } catch (error) {
    await stop();
    await rm(folder, { recursive: true, force: true });
    throw error;
  }
}

function configOf(
  options: RealRegistryOptions,
  own: { readonly folder: string; readonly storage: string; readonly mark: string },
): object {
  const htpasswd = { realm: "larder", path: path.join(own.folder, "htpasswd") };
  return {
    version: 0.1,
    log: { level: "info", formatter: "json", accesslog: { disabled: options.accessLog === undefined } },
    storage: { filesystem: { rootdirectory: own.storage }, delete: { enabled: true } },
    http: {
      addr: options.host ?? "127.0.0.1:0",
      secret: own.mark,
      headers: { "X-Larder-Test": [own.mark] },
      ...(options.tls ? { tls: { certificate: options.tls.certificate, key: options.tls.key } } : {}),
    },
    ...(options.password === true ? { auth: { htpasswd } } : {}),
  };
}

/** Reads the log until it names the address, and goes on reading in the background so that the pipe never fills. */
async function listening(log: AsyncIterable<unknown>): Promise<string> {
  const lines = log[Symbol.asyncIterator]();
  const seen: string[] = [];
  for (let line = await lines.next(); line.done !== true; line = await lines.next()) {
    const host = /listening on (127\.0\.0\.1:\d+)/.exec(String(line.value))?.[1];
    seen.push(String(line.value));
    if (host === undefined) continue;
    void drain(lines);
    return host;
  }
  throw new Error(`The registry ended before it listened:\n${seen.join("\n")}`);
}

async function drain(lines: AsyncIterator<unknown>): Promise<void> {
  try {
    while ((await lines.next()).done !== true);
  } catch {
    // The iterator rejects when the registry is killed, which is how every one of them ends.
  }
}

/** Throws unless the server at `origin` has the mark of the one that was started. */
export async function checkMark(origin: string, mark: string): Promise<void> {
  // The mark is what it is known by, so that no certificate need be trusted.
  const asked = origin.startsWith("https:")
    ? https.request(`${origin}/v2/`, { rejectUnauthorized: false, agent: false })
    : http.request(`${origin}/v2/`, { agent: false });
  asked.end();
  const [answer] = (await once(asked, "response")) as [http.IncomingMessage];
  answer.resume();
  await once(answer, "end");
  if (answer.headers["x-larder-test"] !== mark) throw new Error(`Another registry answers at ${origin}`);
}
