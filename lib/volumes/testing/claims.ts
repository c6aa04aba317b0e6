// The journeys of claims on a node in memory, which can be stopped after any effect.
import type { Access } from "../../core/access.ts";
import { type Digest, digestOf, parseDigest } from "../../core/digest.ts";
import { Failure } from "../../core/failure.ts";
import { MemoryMetrics } from "../../host/metrics.fake.ts";
import type { FetchedTag } from "../../registry/reader.ts";
import type { TreeRequest } from "../../trees/tree-request.ts";
import { Turns } from "../../trees/turns.ts";
import { placesOf } from "../claim-disk.ts";
import { ClaimRecords } from "../claim-records.ts";
import type { CreateDeps } from "../create-claim.ts";
import type { DeleteDeps } from "../delete-claim.ts";
import { LayerUse } from "../layer-use.ts";
import { LetIn } from "../let-in.ts";
import { openOccupants } from "../occupants.ts";
import { Promises } from "../promises.ts";
import type { CreateClaimRequest, PublishRequest, StageRequest } from "../requests.ts";
import { Unmounts } from "../unmounts.ts";
import type { UseDeps } from "../use.ts";
import { openVolumeTurns } from "../volume-turns.ts";
import { call, root, TestNode } from "./node.ts";

export const staging = "/var/lib/kubelet/plugins/kubernetes.io/csi/d/x/globalmount";
export const driver = "csi.larder.test";

/** A registry that has nothing, or answers each question with a Failure. */
export class ClaimNode extends TestNode {
  trouble: Failure | undefined;
  /** What the cache's key means; nothing by default. */
  head: FetchedTag | undefined;
  /** With what the key was asked for. */
  readonly headAsked: Access[] = [];
  /** Before the answer. */
  onHead: (access: Access, signal: AbortSignal) => Promise<void> = async () => undefined;
  packs: string[] = [];
  pushes: string[] = [];
  isChanged = true;
  readonly metrics = new MemoryMetrics();
  /** What each Layer takes. */
  layerBytes = 0;
  pendingBytes = 2 ** 30;
  collectableBytes = 0;
  /** What pulls under way are still to fill. */
  incomingBytes = 0;
  /** Before anything is removed. */
  onCollect: () => Promise<void> = async () => undefined;
  readonly adopted = new Set<string>();
  readonly begun: TreeRequest[] = [];

  override isHere(id: Digest): boolean {
    return this.adopted.has(id) || super.isHere(id);
  }

  // oxlint-disable-next-line max-lines-per-function -- one literal that lists every port a claim leans on
  async startClaims(): Promise<CreateDeps & DeleteDeps & UseDeps> {
    const inline = await this.start();
    const { files, mounts, keyring, log, platform, registries, limits, discard, strays } = inline;
    await this.files.makeDirectory(`${root}/layers`);
    // What is in place is here, also where the plugin died before it knew.
    for (const { name } of await this.files.list(`${root}/layers`))
      this.adopted.add(parseDigest(`sha256:${name}`));
    const claims = await ClaimRecords.open(files, root, log);
    claims.holdBy(inline.trees);
    claims.roomBy(async (bytes) => await this.#collect(bytes));
    return {
      files,
      mounts,
      keyring,
      log,
      platform,
      registries,
      root,
      claims,
      limits,
      occupants: openOccupants({ records: inline.records, claims }),
      discard,
      strays,
      driver,
      node: "node-1",
      flags: { noSuid: true, noDev: true },
      promises: new Promises({ claims, limits, overcommit: 1 }),
      pending: { kind: "bytes", bytes: this.pendingBytes },
      turns: openVolumeTurns(),
      unmounts: new Unmounts(),
      flights: new Map(),
      signal: call.signal,
      clock: { now: () => this.now, pause: () => new Promise(() => undefined) },
      use: new LayerUse(),
      // Nothing is packed here that could be trimmed.
      trimmer: { trim: async () => true, [Symbol.asyncDispose]: async () => undefined },
      letIn: new LetIn(),
      headTurns: new Turns(1),
      drawId: () => `id${claims.all.size}`,
      metrics: this.metrics,
      listTags: async () => [],
      trees: {
        ...inline.trees,
        begin: async (request) => void this.begun.push(request),
        fetchTag: async (access, _reference, signal) => await this.#fetchTag(access, signal),
        contents: (layers) => (layers.every((id) => this.isHere(id)) ? layers.toReversed() : undefined),
        collectableBytes: () => this.collectableBytes,
        collect: async (bytes) => await this.#collect(bytes),
        figures: () => ({ ...idle, incomingBytes: this.incomingBytes }),
      },
      layers: {
        isHere: (id) => this.adopted.has(id),
        bytesOf: (layers) => layers.length * this.layerBytes,
        bytesOver: (_, baseBytes) => baseBytes + this.layerBytes,
        adopt: async (directory, { id }) => {
          await files.rename(directory, `${root}/layers/${id.slice("sha256:".length)}`);
          this.adopted.add(id);
        },
      },
      ...this.groups.ports(files),
      fill: async (record) => await files.makeDirectory(placesOf(root, record).upper),
      pack: async (record, _told, below) => {
        this.packs.push(record.volumeId);
        if (this.isChanged) await below();
        return { isChanged: this.isChanged };
      },
      resume: async () => undefined,
      push: async (record) => {
        this.pushes.push(record.volumeId);
        const confirmed = {
          manifest: digestOf("m"),
          versionTag: "t",
          isKeyless: false,
          state: "confirmed",
        } as const;
        const pushed = { ...record, push: confirmed };
        await claims.write(pushed);
        return pushed;
      },
    };
  }

  async #collect(bytes: number): Promise<number> {
    await this.onCollect();
    const freed = Math.min(bytes, this.collectableBytes);
    this.collectableBytes -= freed;
    this.files.room = { ...this.files.room, bytesFree: this.files.room.bytesFree + freed };
    return freed;
  }

  async #fetchTag(access: Access, signal: AbortSignal): Promise<FetchedTag> {
    this.headAsked.push(access);
    await this.onHead(access, signal);
    if (this.trouble !== undefined) throw this.trouble;
    if (this.head !== undefined) return this.head;
    throw notFound;
  }
}

const idle = { usedBytes: 0, reservedBytes: 0, layers: 0, trees: 0, partials: 0, joined: 0 };

const notFound = new Failure("not-found", "Cannot resolve: the registry has nothing of that name");

const capability = {
  access: "mount",
  mode: "single-node-writer",
  fsType: "",
  mountFlags: [],
  mountGroup: "",
} as const;

export function createRequest(change: Partial<CreateClaimRequest> = {}): CreateClaimRequest {
  return {
    name: "pvc-1",
    size: { requiredBytes: 10 * 2 ** 20, limitBytes: 0 },
    capabilities: [capability],
    parameters: new Map(),
    mutable: new Map(),
    secrets: new Map(),
    topology: [],
    hasSource: false,
    ...change,
  };
}

/** `group` is the pod's fsGroup. */
export function stageRequest(volumeId: string, group = ""): StageRequest {
  return {
    volumeId,
    path: staging,
    capability: { ...capability, mountGroup: group },
    context: new Map(),
    secrets: new Map(),
  };
}

export async function targetRequest(
  node: ClaimNode,
  volumeId: string,
  pod = "pod-1",
): Promise<PublishRequest> {
  const parent = `/var/lib/kubelet/pods/${pod}/volumes/kubernetes.io~csi/vol`;
  await node.files.makeDirectory(parent);
  return {
    volumeId,
    target: `${parent}/mount`,
    stagingPath: staging,
    readOnly: false,
    attributes: new Map(),
    secrets: new Map(),
    capability,
  };
}
