// A node in memory: its files, mounts, Records and a store of one Tree, which can be stopped after any effect.
import { digestOf } from "../../core/digest.ts";
import { Failure } from "../../core/failure.ts";
import { MemoryFiles } from "../../host/files.fake.ts";
import type { Files } from "../../host/files.ts";
import { openMemoryLog } from "../../host/log.fake.ts";
import { MemoryMounts } from "../../host/mounts.fake.ts";
import type { Mounts } from "../../host/mounts.ts";
import type { LeasedTree, TreeRequest } from "../../trees/trees.ts";
import { ClaimRecords } from "../claim-records.ts";
import type { PublishDeps } from "../publish.ts";
import { Records } from "../records.ts";
import { recover } from "../recover.ts";
import type { PublishRequest } from "../requests.ts";
import { openTurns } from "../turns.ts";

export const root = "/var/lib/larder";
const pods = "/var/lib/kubelet/pods";
const layerOf = (name: string) => `${root}/layers/${digestOf(name).slice("sha256:".length)}/fs`;

/** What a simulated stop throws: nothing of ours catches it by name. */
class Stopped extends Error {}

const reads = new Set(["read", "list", "at", "statFilesystem", "bootId", "readTouched"]);

export class TestNode {
  readonly files = new MemoryFiles();
  readonly mounts = new MemoryMounts();
  readonly log = openMemoryLog();
  readonly held = new Map<string, readonly string[]>();
  readonly asked: TreeRequest[] = [];
  layers: readonly string[] = [layerOf("one")];
  lease: () => Promise<void> = async () => undefined;
  leases = 0;
  /** Effects until the stop; never when undefined. From then on every effect stops too, as after a crash. */
  stopAfter: number | undefined;
  effects = 0;

  /** The plugin as a start makes it, on what is there. */
  async start(): Promise<PublishDeps> {
    const [files, mounts] = [this.#stoppable<Files>(this.files), this.#stoppable<Mounts>(this.mounts)];
    for (const directory of ["volumes", "ingest", "trash"])
      await this.files.makeDirectory(`${root}/${directory}`);
    const records = await Records.open(files, root, this.log.log);
    const discard = async (at: string) => void (await files.removeEmptyDirectory(at));
    const claims = await ClaimRecords.open(files, root, this.log.log);
    await recover({ files, mounts, records, claims, root, log: this.log.log, discard });
    return {
      files,
      mounts,
      records,
      root,
      log: this.log.log,
      turns: openTurns(),
      registries: [],
      view: { noSuid: true, noDev: true },
      platform: { os: "linux", architecture: "amd64" },
      clock: { now: () => 0, pause: () => new Promise(() => undefined) },
      keyring: { accessesFor: async ({ host, repository }) => [{ host, repository }] },
      trees: {
        lease: (request) => this.#lease(request),
        hold: (holder, roots) => void this.held.set(holder, roots),
        letGo: (holder) => void this.held.delete(holder),
      },
    };
  }

  /** What is there of volumes: for holding one end against another. */
  async remains(target: string): Promise<object> {
    const records = (await this.files.list(`${root}/records`)).length;
    const mounts = (await this.mounts.at(target)).length;
    const directory = await this.files.list(target).then(
      () => true,
      () => false,
    );
    return { records, mounts, directory };
  }

  async #lease(request: TreeRequest): Promise<LeasedTree> {
    this.asked.push(request);
    await this.lease();
    this.leases++;
    return {
      key: digestOf("tree"),
      digest: digestOf("manifest"),
      layers: this.layers,
      layerIds: this.layers.map((layer) => digestOf(layer)),
      notes: [],
      hit: true,
      [Symbol.dispose]: () => void this.leases--,
    };
  }

  #stoppable<Port extends object>(port: Port): Port {
    return new Proxy(port, {
      get: (target, name) => {
        const method = target[name as keyof Port];
        if (typeof method !== "function" || typeof name !== "string") return method;
        if (reads.has(name)) return method.bind(target) as unknown;
        return async (...args: unknown[]) => {
          if (this.stopAfter !== undefined && this.effects >= this.stopAfter) throw new Stopped();
          this.effects++;
          return await (method as (...args: unknown[]) => unknown).apply(target, args);
        };
      },
    });
  }
}

export const call = { signal: new AbortController().signal, deadline: Number.POSITIVE_INFINITY };

/** A pod's inline volume, as the kubelet asks for it. The pod's directory is made. */
export async function podRequest(
  node: TestNode,
  change: Partial<PublishRequest> = {},
): Promise<PublishRequest> {
  const target = change.target ?? `${pods}/pod-1/volumes/kubernetes.io~csi/vol/mount`;
  await node.files.makeDirectory(target.slice(0, target.lastIndexOf("/")));
  return {
    volumeId: "csi-1",
    target,
    readOnly: true,
    attributes: new Map([
      ["reference", "r.example/a:v1"],
      ["csi.storage.k8s.io/ephemeral", "true"],
      ["csi.storage.k8s.io/pod.uid", "pod-1"],
    ]),
    secrets: new Map(),
    capability: { access: "mount", mode: "single-node-writer", fsType: "", mountFlags: [], mountGroup: "" },
    ...change,
  };
}

export const severalLayers = ["top", "middle", "bottom"].map(layerOf);
export const refusal = new Failure("denied", "Cannot pull");
