// The node plugin as a node runs it: a process of its own, with a root, a socket and a pods directory in one folder.
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { connect } from "node:net";
import os from "node:os";
import path from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { tool } from "../testing/tool.ts";
import { type CsiClient, openCsi } from "./client.ts";
import { shareCompiled } from "./compiled.ts";
import { mountsUnder } from "./mounts.ts";

const top = path.resolve(import.meta.dirname, "..");

export type Plugin = AsyncDisposable & {
  readonly folder: string;
  readonly root: string;
  readonly socket: string;
  readonly client: CsiClient;
  readonly pid: number;
  /** Resolves with the exit status, or with null after a signal. */
  readonly ended: Promise<number | null>;
  /** The lines it has logged so far. */
  readonly log: readonly string[];
  /** Where its health pages are, such as `127.0.0.1:4711`. */
  health(): Promise<string>;
  /** A target as the kubelet would name it, its parent made. */
  target(pod?: string, volume?: string): Promise<{ readonly pod: string; readonly target: string }>;
  /** SIGTERM; resolves with the exit status. */
  stop(): Promise<number | null>;
  /** SIGKILL; resolves when it is gone. */
  kill(): Promise<void>;
  /** The same folder again, after `stop()` or `kill()`. */
  restart(): Promise<Plugin>;
};

export type PluginOptions = {
  /** What the settings file says. */
  readonly settings?: Readonly<Record<string, unknown>>;
  readonly environment?: Readonly<Record<string, string>>;
  /** An existing folder, kept on disposal; by default a new one that goes. */
  readonly folder?: string;
  /** Its compiled code is its own, as on a node. */
  readonly compilesItself?: boolean;
  /** What is run instead of csi/main.ts. */
  readonly program?: string;
};

/** Starts it and returns once the socket answers. Throws with its log when it ends before. */
export async function openPlugin(options: PluginOptions = {}): Promise<Plugin> {
  const folder = options.folder ?? (await mkdtemp(path.join(os.tmpdir(), "larder-e2e-")));
  const places = placesIn(folder);
  for (const place of [places.root, path.dirname(places.socket), places.pods])
    await mkdir(place, { recursive: true });
  if (options.compilesItself !== true)
    await shareCompiled(options.environment?.["NODE_COMPILE_CACHE"] ?? path.join(places.root, "compile"));
  // Without a pool, which would take its share of the disk for every test.
  const usual = { metrics: { address: "127.0.0.1:0" }, quota: "off", oras: await tool("oras") };
  await writeFile(places.config, JSON.stringify({ ...usual, ...options.settings }));
  const child = start(places, options);
  const log: string[] = [];
  const ended = once(child, "exit").then(([status]) => status as number | null);
  collect(child, log);
  await answering(places.socket, child, log);
  const client = tellingOfDeath(openCsi(places.socket), child, log);
  const end = async (signal: NodeJS.Signals) => {
    client[Symbol.dispose]();
    child.kill(signal);
    return await ended;
  };
  return {
    folder,
    root: places.root,
    socket: places.socket,
    client,
    pid: child.pid ?? 0,
    ended,
    log,
    health: () => healthIn(log),
    target: (pod, volume) => makeTarget(places.pods, pod, volume),
    stop: () => end("SIGTERM"),
    kill: async () => void (await end("SIGKILL")),
    restart: () => openPlugin({ ...options, folder }),
    [Symbol.asyncDispose]: async () => {
      await end("SIGKILL");
      // Those of a test that failed before it took them down.
      for (const { target } of (await mountsUnder(folder)).toReversed())
        spawnSync("umount", ["--lazy", target]);
      if (options.folder === undefined) await rm(folder, { recursive: true, force: true });
    },
  };
}

type Places = {
  readonly root: string;
  readonly socket: string;
  readonly pods: string;
  readonly config: string;
};

function placesIn(folder: string): Places {
  return {
    root: path.join(folder, "root"),
    socket: path.join(folder, "csi", "csi.sock"),
    pods: path.join(folder, "pods"),
    config: path.join(folder, "larder.yaml"),
  };
}

async function makeTarget(pods: string, pod: string = randomUUID(), volume = "vol") {
  const parent = path.join(pods, pod, "volumes", "kubernetes.io~csi", volume);
  await mkdir(parent, { recursive: true });
  return { pod, target: path.join(parent, "mount") };
}

function start(places: Places, { program, environment }: PluginOptions): ChildProcess {
  return spawn(process.execPath, [path.join(top, program ?? "csi/main.ts")], {
    stdio: ["ignore", "ignore", "pipe"],
    env: {
      PATH: process.env["PATH"] ?? "",
      // What tools/vm tells every Node of its machine.
      NODE_OPTIONS: process.env["NODE_OPTIONS"] ?? "",
      CSI_ENDPOINT: `unix://${places.socket}`,
      LARDER_NODE: "node-1",
      LARDER_ROOT: places.root,
      LARDER_CONFIG: places.config,
      ...environment,
    },
  });
}

function collect(child: ChildProcess, log: string[]): void {
  let rest = "";
  child.stderr?.setEncoding("utf8").on("data", (text: string) => {
    const lines = (rest + text).split("\n");
    rest = lines.pop() ?? "";
    log.push(...lines);
  });
}

async function answering(socket: string, child: ChildProcess, log: readonly string[]): Promise<void> {
  const ended = once(child, "exit").then(([status, signal]) => ({ how: String(status ?? signal) }));
  for (;;) {
    if (await isAlive(socket)) return;
    const end = await Promise.race([ended, pause(20)]);
    if (end) throw new Error(`the plugin ended with ${end.how} before it answered:\n${log.join("\n")}`);
  }
}

/** A call that fails because the process ended by itself says how it did. */
function tellingOfDeath(client: CsiClient, child: ChildProcess, log: readonly string[]): CsiClient {
  const call: CsiClient["call"] = async (...words) => {
    try {
      return await client.call(...words);
    } catch (error) {
      if (child.killed || !isErrorOfTransport(error)) throw error;
      if (child.exitCode === null && child.signalCode === null)
        await Promise.race([once(child, "exit"), pause(1_000)]);
      const end = child.exitCode ?? child.signalCode;
      if (end !== null) error.message += ` (the plugin had ended with ${end}: ${log.slice(-20).join("\n")})`;
      throw error;
    }
  };
  return { call, [Symbol.dispose]: () => client[Symbol.dispose]() };
}

function isErrorOfTransport(error: unknown): error is Error {
  return (
    error instanceof Error &&
    /^(?:Connection dropped|No connection established|(?:read|write) E)/u.test(error.message)
  );
}

function isAlive(socket: string): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const connection = connect(socket);
  connection.once("connect", () => {
    connection.destroy();
    resolve(true);
  });
  connection.once("error", () => resolve(false));
  return promise;
}

/** It says where once all of it is up, a moment after its socket answers. */
async function healthIn(log: readonly string[]): Promise<string> {
  for (let tries = 0; tries < 5_000; tries++) {
    const found = log.map((line) => (JSON.parse(line) as { readonly health?: string }).health);
    const health = found.find((address) => address !== undefined);
    if (health !== undefined) return health;
    await pause(20);
  }
  throw new Error(`the log tells of no health pages:\n${log.join("\n")}`);
}
