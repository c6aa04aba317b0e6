// What every row stands on: a registry that holds the artifacts, a folder for the runs, and a voice.

import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readdir, readFile, realpath, stat } from "node:fs/promises";
import path from "node:path";
import { execa } from "execa";
import { openRealRegistry } from "../testing/real-registry.ts";
import { tool } from "../testing/tool.ts";
import { type ArtifactName, catalogue, type Shape } from "./artifacts/catalogue.ts";
import { Layout } from "./artifacts/layout.ts";
import { clear } from "./clear.ts";
import { Leftovers } from "./leftovers.ts";
import { paceConnections } from "./pacing.ts";
import { say, working } from "./voice.ts";

/** Counted up when what the generators make changes. */
const VERSION = "v1";
const cache = path.resolve(import.meta.dirname, "../.cache/bench");

export type Pushed = Shape & {
  readonly name: ArtifactName;
  /** `host/repository:tag`. */
  readonly reference: string;
  /** The layout on disk that it was pushed from. */
  readonly layout: string;
};

export type Request = {
  readonly method: string;
  readonly path: string;
  readonly status: number;
  readonly bytes: number;
};

export interface Stage extends AsyncDisposable {
  /** How often each side does what is compared. */
  readonly runs: number;
  readonly host: string;
  /** The most memory that our process had in the runs of a row, by the row's id. */
  readonly highest: Map<string, number>;
  /** Where what is costly to make stays for later runs. */
  readonly cache: string;
  /** What the registry's disk holds of blobs. */
  storedBytes(): Promise<number>;
  /** The artifact in the registry, made and pushed when it is asked for first. */
  artifact(name: ArtifactName, tag?: string): Promise<Pushed>;
  /** A new empty folder on the disk that is measured; gone with the stage, or when it is dropped. */
  folder(): Promise<string>;
  drop(folder: string): Promise<void>;
  /** Each connection of the registry held to this, for the length of a block. */
  paced(bytesPerSecond: number): Promise<AsyncDisposable>;
  /** What the registry was asked during `work`. */
  watched(work: () => Promise<void>): Promise<readonly Request[]>;
}

export async function openStage(runs: number): Promise<Stage> {
  await mkdir(cache, { recursive: true });
  // As the kernel's table of mounts names it, which is how a driver looks for its own.
  const folder = await mkdtemp(path.join(await realpath(cache), "run-"));
  const accessLog = path.join(folder, "access.log");
  const dispose = new AsyncDisposableStack();
  dispose.defer(async () => await clear(folder));
  try {
    const registry = dispose.use(
      await openRealRegistry({ storage: path.join(folder, "registry"), accessLog }),
    );
    const pushed = new Map<string, Promise<void>>();
    let folders = 0;
    const leftovers = new Leftovers();
    return {
      runs,
      host: registry.host,
      cache,
      storedBytes: () => sumBlobs(registry.storage),
      highest: new Map(),
      artifact: async (name, tag = "v1") => {
        const reference = `${registry.host}/bench/${name.toLowerCase()}:${tag}`;
        if (!pushed.has(reference)) pushed.set(reference, push(name, tag, reference));
        await pushed.get(reference);
        return { ...catalogue[name], name, reference, layout: path.join(cache, VERSION, name) };
      },
      folder: async () => {
        const made = path.join(folder, `${++folders}`);
        await mkdir(made);
        return made;
      },
      drop: (left) => leftovers.drop(left),
      paced: async (bytesPerSecond) => {
        await paceConnections(registry.pid, bytesPerSecond);
        return { [Symbol.asyncDispose]: async () => await paceConnections(registry.pid) };
      },
      watched: async (work) => {
        const { size } = await stat(accessLog);
        await work();
        return parseLog((await readFile(accessLog)).subarray(size).toString("latin1"));
      },
      [Symbol.asyncDispose]: async () => await dispose.disposeAsync(),
    };
  } catch (error) {
    await dispose.disposeAsync();
    throw error;
  }
}

async function push(name: ArtifactName, tag: string, reference: string): Promise<void> {
  const layout = path.join(cache, VERSION, name);
  if (!existsSync(layout)) {
    await mkdir(path.dirname(layout), { recursive: true });
    await working(`making the artifact "${name}" (once)`, async () => {
      await Layout.make(layout, async (made) => await catalogue[name].write(made));
    });
  }
  await working(`pushing ${reference}`, async () => {
    const args = ["cp", "--from-oci-layout", "--to-plain-http", `${layout}:${tag}`, reference];
    await execa(await tool("oras"), args, { stdin: "ignore" });
  });
}

async function sumBlobs(storage: string): Promise<number> {
  const blobs = path.join(storage, "docker/registry/v2/blobs");
  if (!existsSync(blobs)) return 0;
  const entries = await readdir(blobs, { withFileTypes: true, recursive: true });
  const files = entries.filter((entry) => entry.isFile());
  const sizes = await Promise.all(
    files.map(async ({ parentPath, name }) => await stat(path.join(parentPath, name))),
  );
  return sizes.reduce((sum, { size }) => sum + size, 0);
}

/** Apache's combined log: `HOST - - [TIME] "GET /v2/… HTTP/1.1" 206 8388608 "" "agent"`. */
function parseLog(text: string): Request[] {
  const line = /"(?<method>[A-Z]+) (?<path>\S+) HTTP\/[\d.]+" (?<status>\d+) (?<bytes>\d+|-)/g;
  const found = [...text.matchAll(line)].map(({ groups = {} }) => ({
    method: groups["method"] ?? "",
    path: groups["path"] ?? "",
    status: Number(groups["status"]),
    bytes: Number(groups["bytes"]) || 0,
  }));
  if (found.length === 0) say("  the registry's access log is empty");
  return found;
}
