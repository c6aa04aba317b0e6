// A store in a directory of its own, over registries in memory, that can be stopped at any step and opened again.
import { cp, mkdtemp, readdir, readFile, rm, stat } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { cloneForGroup } from "../../archive/clone-tree.ts";
import type { Access } from "../../core/access.ts";
import type { Promised } from "../../core/capacity.ts";
import { parseReference } from "../../core/reference.ts";
import { LinuxFiles } from "../../host/files.linux.ts";
import type { Files, FilesystemRoom } from "../../host/files.ts";
import { openMemoryLog } from "../../host/log.fake.ts";
import { MemoryMetrics } from "../../host/metrics.fake.ts";
import { Store, type StoreDeps, type StoreSettings } from "../store.ts";
import type { LeasedTree, TreeRequest } from "../tree-request.ts";
import { Trees } from "../trees.ts";
import { RegistryTwin } from "./registry-twin.ts";
import { UnpackerTwin } from "./unpacker-twin.ts";

const GiB = 2 ** 30;

export class Kit implements AsyncDisposable {
  readonly root: string;
  readonly registry = new RegistryTwin();
  readonly unpacker = new UnpackerTwin();
  readonly metrics = new MemoryMetrics();
  readonly log = openMemoryLog();
  readonly settled: string[] = [];
  nowMs = 1_000_000;
  boot = "boot-1";
  synced = 0;
  /** What a sync of the file system waits for. */
  syncing: Promise<void> = Promise.resolve();
  /** What a rename of that waits for. */
  renaming: (from: string) => Promise<void> = () => Promise.resolve();
  room: FilesystemRoom = {
    bytesTotal: 4 * GiB,
    bytesFree: 4 * GiB,
    inodesTotal: 1e6,
    inodesFree: 1e6,
    type: 0,
  };
  settings: StoreSettings = {
    marks: { high: { kind: "percent", percent: 75 }, low: { kind: "percent", percent: 50 } },
    concurrency: 4,
    proofTtlMs: 60_000,
    staleTags: true,
    keepSetuid: false,
  };
  /** The step at which everything stops for good, as it would in a crash. */
  stopAt: string | undefined;
  readonly steps: string[] = [];
  overrides: Partial<StoreDeps> = {};
  /** What claims beside the store were given. */
  promised: Promised = { unusedBytes: 0, heldBytes: 0 };
  readonly #opened: Trees[] = [];

  private constructor(root: string) {
    this.root = root;
  }

  static async open(): Promise<Kit> {
    return new Kit(await mkdtemp(path.join(os.tmpdir(), "larder-trees-")));
  }

  /** A start of the plugin on this root. One that is to crash is never closed in good order. */
  async start(options: { readonly crashes?: boolean } = {}): Promise<Trees> {
    const store = new Store({ ...this.#deps(), ...this.overrides }, this.root, this.settings);
    await store.open();
    const trees = new Trees(store);
    if (options.crashes !== true) this.#opened.push(trees);
    return trees;
  }

  async list(directory: string): Promise<readonly string[]> {
    return (await readdir(path.join(this.root, directory))).sort();
  }

  /** Closes every store in good order. */
  async close(): Promise<void> {
    for (const trees of this.#opened.splice(0)) await trees[Symbol.asyncDispose]();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
    await rm(this.root, { recursive: true, force: true });
  }

  #deps(): StoreDeps {
    const crash = new Promise<never>(() => {});
    const { stopAt } = this;
    let isStopped = false;
    return {
      reader: this.registry,
      unpacker: this.unpacker,
      files: this.#files(),
      log: this.log.log,
      metrics: this.metrics,
      now: () => this.nowMs,
      promised: () => Promise.resolve(this.promised),
      salt: Buffer.from(`salt ${this.#opened.length}`),
      settle: async (directory) => {
        this.settled.push(directory);
      },
      cloneTree: (from, to) => cp(from, to, { recursive: true }),
      cloneForGroup,
      removeTree: (directory, name) => rm(path.join(directory, name), { recursive: true, force: true }),
      assemble: async (layers, to) => {
        for (const layer of layers.toReversed()) await cp(layer, to, { recursive: true, force: true });
        return { bytes: 4096, inodes: 1 };
      },
      onStep: async (step) => {
        this.steps.push(step);
        isStopped ||= step === stopAt;
        if (isStopped) await crash;
      },
    };
  }

  #files(): Files {
    const real = new LinuxFiles({
      run: async () => {
        this.synced++;
        await this.syncing;
      },
    });
    return new Proxy(real, {
      get: (files, name: keyof Files) => {
        if (name === "bootId") return () => this.boot;
        if (name === "statFilesystem") return () => Promise.resolve(this.room);
        if (name === "rename")
          return async (from: string, to: string) => {
            await this.renaming(from);
            await files.rename(from, to);
          };
        const method = files[name] as (...args: unknown[]) => unknown;
        return method.bind(files);
      },
    });
  }
}

export const never = { signal: new AbortController().signal };

export function accessTo(reference: string, password?: string): Access {
  const { host, repository } = parseReference(reference);
  const credentials =
    password === undefined
      ? {}
      : {
          credentials: { kind: "basic", username: "pod", password } as const,
          origin: `pull secret "${password}"`,
        };
  return { host, repository, ...credentials };
}

export function requestFor(
  reference: string,
  options: Partial<TreeRequest> & { readonly password?: string } = {},
): TreeRequest {
  const { password, ...rest } = options;
  return {
    accesses: [accessTo(reference, password)],
    reference: parseReference(reference),
    platform: { os: "linux", architecture: "amd64" },
    layout: "overlay",
    ...rest,
  };
}

/** The files of a leased Tree as a pod would see them, by path; upper layers hide lower ones. */
export async function contentOf(leased: LeasedTree): Promise<Record<string, string>> {
  const content: Record<string, string> = {};
  for (const layer of leased.layers.toReversed()) {
    for (const entry of await readdir(layer, { recursive: true, withFileTypes: true })) {
      const at = path.join(entry.parentPath, entry.name);
      if (entry.isFile()) content[path.relative(layer, at)] = await readFile(at, "utf8");
    }
  }
  return content;
}

export async function inodeOf(leased: LeasedTree, name: string): Promise<number> {
  for (const layer of leased.layers) {
    const found = await stat(path.join(layer, name)).catch(() => undefined);
    if (found !== undefined) return found.ino;
  }
  throw new Error(`there is no ${name}`);
}
