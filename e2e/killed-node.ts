// A node whose plugin dies on command, with a pod of before that keeps reading throughout.
import { type FileHandle, mkdtemp, open, readFile, rename, rm, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { expect } from "vitest";
import { openRegistryDouble, type RegistryDouble } from "../testing/registry-double.ts";
import { mountsUnder, namesIn, until } from "./node-state.ts";
import { openPlugin, type Plugin } from "./plugin.ts";
import { serveFiles } from "./served.ts";
import { type PodVolume, podVolume } from "./volume.ts";

export class KilledNode implements AsyncDisposable {
  readonly registry: RegistryDouble;
  readonly folder: string;
  plugin!: Plugin;
  #settings: Readonly<Record<string, unknown>>;
  #kept: Readonly<Record<string, string>> = {};
  #open: FileHandle | undefined;
  kills = 0;

  private constructor(registry: RegistryDouble, folder: string, settings: Readonly<Record<string, unknown>>) {
    this.registry = registry;
    this.folder = folder;
    this.#settings = settings;
  }

  /** In a folder of its own `under` another. */
  static async open(
    settings: Readonly<Record<string, unknown>> = {},
    under = os.tmpdir(),
  ): Promise<KilledNode> {
    const registry = await openRegistryDouble();
    const node = new KilledNode(registry, await mkdtemp(path.join(under, "larder-crash-")), settings);
    await node.start();
    node.#kept = { reference: serveFiles(registry, "neighbour", { "kept.txt": "kept" }) };
    const neighbour = await node.#neighbour();
    await neighbour.publish();
    node.#open = await open(path.join(neighbour.target, "kept.txt"));
    return node;
  }

  get fuse(): string {
    return path.join(this.folder, "fuse");
  }

  async start(): Promise<void> {
    this.plugin = await openPlugin({
      folder: this.folder,
      program: "csi/testing/killed-plugin.ts",
      settings: { registries: [{ match: this.registry.host, plainHttp: true }], ...this.#settings },
      environment: {
        LARDER_TEST_FUSE: this.fuse,
        NODE_COMPILE_CACHE: path.join(this.folder, "compile"),
      },
    });
  }

  /** Under other settings. */
  async restart(settings: Readonly<Record<string, unknown>>): Promise<void> {
    await this.plugin.kill();
    this.#settings = { ...this.#settings, ...settings };
    await this.start();
  }

  /** The same name is the same volume of the same pod, whichever life of the plugin is asked. */
  async volume(name: string, attributes: Readonly<Record<string, string>>): Promise<PodVolume> {
    return await podVolume(this.plugin, { attributes, id: `csi-${name}`, pod: `pod-${name}` });
  }

  async #neighbour(): Promise<PodVolume> {
    return await this.volume("neighbour", this.#kept);
  }

  /** Does `work` with so many effects to live. Whether it came through, and all that goes on behind it too. */
  async survives(left: number, only: string | undefined, work: () => Promise<void>): Promise<boolean> {
    await this.#light(left, only);
    const killed = this.plugin.ended.then((status) => `killed: ${status}`);
    const outcome = await Promise.race([killed, this.#carryOut(work)]);
    await rm(this.fuse, { force: true });
    if (outcome === "through") return true;
    expect(outcome).toBe("killed: null");
    this.kills++;
    this.plugin.client[Symbol.dispose]();
    await this.start();
    return false;
  }

  /** A start with so many effects to live; one after it where that was not enough. Whether it was. */
  async survivesStart(left: number, only: string): Promise<boolean> {
    await this.#light(left, only);
    const isThrough = await this.start().then(
      () => true,
      (error: unknown) => {
        expect(String(error)).toContain("the plugin ended with SIGKILL");
        return false;
      },
    );
    await rm(this.fuse, { force: true });
    if (isThrough) return true;
    this.kills++;
    await this.start();
    return false;
  }

  /** Resolves when nothing goes on behind: all synced, nothing half made, nothing in the trash. */
  async settled(): Promise<void> {
    const { root } = this.plugin;
    await until(async () => {
      const layers = await namesIn(path.join(root, "layers"));
      for (const layer of layers) if (await this.#isUnsynced(layer)) return false;
      const rest = await Promise.all(
        ["ingest", "trash", "partials"].map((at) => namesIn(path.join(root, at))),
      );
      return rest.flat().length === 0;
    }, "the store came to rest");
  }

  /** The pod of before reads, by what it has open and by name; one mount and one Record besides for each volume. */
  async expectVolumes(...volumes: readonly PodVolume[]): Promise<void> {
    const { root, folder } = this.plugin;
    const bytes = Buffer.alloc(4);
    await this.#open?.read(bytes, 0, 4, 0);
    expect(bytes.toString()).toBe("kept");
    const neighbour = await this.#neighbour();
    expect(await readFile(path.join(neighbour.target, "kept.txt"), "utf8")).toBe("kept");
    const mounts = await mountsUnder(path.join(folder, "pods"));
    const targets = [neighbour, ...volumes].map(({ target }) => target);
    expect(mounts.map(({ at }) => at).sort()).toEqual(targets.sort());
    for (const { options } of mounts) expect(options.split(",")).toContain("ro");
    expect(await namesIn(path.join(root, "records"))).toHaveLength(targets.length);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await using after = new AsyncDisposableStack();
    after.use(this.registry);
    after.defer(() => rm(this.folder, { recursive: true, force: true }));
    after.defer(() => this.plugin.kill());
    await this.#open?.close();
    await rm(this.fuse, { force: true });
    await (await this.#neighbour()).unpublish();
    expect(await mountsUnder(this.folder)).toEqual([]);
  }

  async #light(left: number, only?: string): Promise<void> {
    await writeFile(`${this.fuse}.new`, JSON.stringify({ left, only }));
    await rename(`${this.fuse}.new`, this.fuse);
  }

  async #carryOut(work: () => Promise<void>): Promise<string> {
    try {
      await work();
    } catch (error) {
      // A call that is cut off may be told so before the end of the process is.
      await pause(30_000, undefined, { ref: false });
      throw error;
    }
    await this.settled();
    return "through";
  }

  async #isUnsynced(layer: string): Promise<boolean> {
    const record = path.join(this.plugin.root, "layers", layer, "layer.json");
    return (await readFile(record, "utf8").catch(() => "")).includes('"boot"');
  }
}
