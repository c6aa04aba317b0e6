// A node in memory: its files, mounts, Records and a store of one Tree, which can be stopped after any effect.
import type { Filling } from "../../archive/start-upper.ts";
import { isLimited } from "../../core/claim-record.ts";
import { type Digest, digestOf } from "../../core/digest.ts";
import { Failure } from "../../core/failure.ts";
import type { Reference } from "../../core/reference.ts";
import { MemoryFiles } from "../../host/files.fake.ts";
import type { Files } from "../../host/files.ts";
import { openMemoryLog } from "../../host/log.fake.ts";
import { MemoryMounts } from "../../host/mounts.fake.ts";
import type { Mounts } from "../../host/mounts.ts";
import { MemoryQuotas } from "../../host/quotas.fake.ts";
import type { ProjectQuota, QuotaLimits, Quotas } from "../../host/quotas.ts";
import type { LeasedTree, TreeRequest, Waiter } from "../../trees/tree-request.ts";
import { ClaimRecords } from "../claim-records.ts";
import { Limits } from "../limits.ts";
import { openOccupants } from "../occupants.ts";
import type { PublishDeps } from "../publish.ts";
import { Records } from "../records.ts";
import { recover } from "../recover.ts";
import type { PublishRequest } from "../requests.ts";
import { Strays } from "../strays.ts";
import type { UseDeps } from "../use.ts";
import { openVolumeTurns } from "../volume-turns.ts";
import { MemoryGroups } from "./groups.ts";

export const root = "/var/lib/larder";
const pods = "/var/lib/kubelet/pods";
const layerOf = (name: string) => `${root}/layers/${digestOf(name).slice("sha256:".length)}/fs`;

/** What a simulated stop throws: nothing of ours catches it by name. */
class Stopped extends Error {}

const reads = new Set([
  "read",
  "list",
  "at",
  "statFilesystem",
  "bootId",
  "readTouched",
  "readSupport",
  "readProject",
  "readQuota",
]);

/** Its own small tree follows the paths it is told of. */
class ChargingQuotas extends MemoryQuotas {
  override async setProject(directory: string, project: number): Promise<void> {
    let at = "";
    for (const name of directory.split("/").slice(1)) {
      at += `/${name}`;
      await this.readProject(at).catch(() => this.makeDirectory(at));
    }
    await super.setProject(directory, project);
  }

  override async setLimits(_path: string, project: number, limits: QuotaLimits): Promise<void> {
    await super.setLimits("/", project, limits);
  }

  override async clearLimits(_path: string, project: number): Promise<void> {
    await super.clearLimits("/", project);
  }

  override async readQuota(_path: string, project: number): Promise<ProjectQuota> {
    return await super.readQuota("/", project);
  }

  override async list(): Promise<readonly ProjectQuota[]> {
    return await super.list("/");
  }
}

/** What no test changes. */
const said = {
  registries: [],
  inline: { maxSizeBytes: 10 * 2 ** 30 },
  view: { noSuid: true, noDev: true },
  platform: { os: "linux", architecture: "amd64" },
  clock: { now: () => 0, pause: () => new Promise<void>(() => undefined) },
  keyring: {
    accessesFor: async ({ host, repository }: Reference) => [{ host, repository }],
  },
};

/** The Tree of every artifact. */
export const arriving = { key: digestOf("tree"), digest: digestOf("manifest") };

export class TestNode {
  readonly files = new MemoryFiles();
  readonly mounts = new MemoryMounts();
  readonly log = openMemoryLog();
  readonly quotas = new ChargingQuotas();
  /** Whether the node has them. */
  hasQuotas = true;
  now = 1_700_000_000_000;
  readonly groups = new MemoryGroups();
  readonly filled: Filling[] = [];
  fill: () => Promise<void> = async () => undefined;
  readonly held = new Map<string, readonly string[]>();
  readonly asked: TreeRequest[] = [];
  layers: readonly string[] = [layerOf("one")];
  lease: (waiter: Waiter) => Promise<void> = async () => undefined;
  leases = 0;
  /** Effects until the stop; never when undefined. From then on every effect stops too, as after a crash. */
  stopAfter: number | undefined;
  effects = 0;

  /** The plugin as a start makes it, on what is there. */
  async start(): Promise<PublishDeps & UseDeps & { readonly strays: Strays }> {
    const [files, mounts] = [this.#stoppable<Files>(this.files), this.#stoppable<Mounts>(this.mounts)];
    for (const directory of ["volumes", "ingest", "trash"])
      await this.files.makeDirectory(`${root}/${directory}`);
    const records = await Records.open(files, root, this.log.log);
    const discard = async (at: string) => await discardFrom(files, at);
    const claims = await ClaimRecords.open(files, root, this.log.log);
    await recover({ files, mounts, records, claims, root, log: this.log.log, discard });
    const quotas = this.#stoppable<Quotas>(this.quotas);
    const limited = { quotas, root, projects: { base: 1000, count: 100 } };
    const limits = new Limits(this.hasQuotas ? limited : undefined);
    limits.know(() => [...records.scratches(), ...claims.all.values()]);
    await limits.repair([...claims.all.values()].filter(isLimited));
    return {
      files,
      mounts,
      records,
      occupants: openOccupants({ records, claims }),
      limits,
      discard,
      root,
      strays: new Strays({ limits, log: this.log.log, clock: { now: () => this.now } }),
      fillUpper: async (filling) => {
        await files.makeDirectory(filling.upper);
        this.filled.push(filling);
        await this.fill();
      },
      log: this.log.log,
      turns: openVolumeTurns(),
      ...said,
      ...this.groups.ports(files),
      trees: {
        contents: (layers) => (layers.every((id) => this.isHere(id)) ? layers.toReversed() : undefined),
        lease: (request, waiter) => this.#lease(request, waiter),
        sizeOf: () => ({ bytes: 5 * 2 ** 30, inodes: 65_000 }),
        hold: (holder, roots) => void this.held.set(holder, roots),
        letGo: (holder) => void this.held.delete(holder),
      },
    };
  }

  /** What the Tree is made of is here once it was leased, and what was made over. */
  isHere(id: Digest): boolean {
    return this.groups.made.has(id) || this.layers.some((layer) => digestOf(layer) === id);
  }

  /** What is there of volumes: for holding one end against another. */
  async remains(target: string): Promise<object> {
    const records = (await this.files.list(`${root}/records`)).length;
    const mounts = (await this.mounts.at(target)).length;
    const directory = await this.files.list(target).then(
      () => true,
      () => false,
    );
    const scratches = (await this.files.list(`${root}/volumes`)).length;
    const limits = (await this.quotas.list()).filter((project) => project.limits !== undefined).length;
    return { records, mounts, directory, scratches, limits };
  }

  async #lease(request: TreeRequest, waiter: Waiter): Promise<LeasedTree> {
    this.asked.push(request);
    await this.lease(waiter);
    this.leases++;
    return {
      ...arriving,
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

/** Removes as the trash does, at once. */
async function discardFrom(files: Files, at: string): Promise<void> {
  for (const { name } of await files.list(at).catch(() => [])) await discardFrom(files, `${at}/${name}`);
  await files.removeEmptyDirectory(at).catch(() => files.removeFile(at));
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
