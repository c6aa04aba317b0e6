// The journeys of claims over the real store, packer, ORAS and registries; only mounts are remembered in memory.
import { mkdtempSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { tool } from "../../../testing/tool.ts";
import { groupTrees } from "../../archive/group-tree.ts";
import { openUnpacker } from "../../archive/open-unpacker.ts";
import { openPacker } from "../../archive/packer.ts";
import { fillUpper } from "../../archive/start-upper.ts";
import { openTrimmer, type Trimmer } from "../../archive/trimmer.ts";
import type { Access, Credentials } from "../../core/access.ts";
import type { ClaimRecord } from "../../core/claim-record.ts";
import { LinuxFiles } from "../../host/files.linux.ts";
import { openMemoryLog } from "../../host/log.fake.ts";
import { MemoryMetrics } from "../../host/metrics.fake.ts";
import { MemoryMounts } from "../../host/mounts.fake.ts";
import { openProcesses } from "../../host/processes.linux.ts";
import { openRemover } from "../../host/remover.ts";
import type { Keyring } from "../../registry/keyring.ts";
import { openOras } from "../../registry/open-oras.ts";
import { openOrasReach } from "../../registry/oras-reach.ts";
import { Rig } from "../../registry/testing/rig.ts";
import { openTrees } from "../../trees/open-trees.ts";
import { Trash } from "../../trees/trash.ts";
import { Turns } from "../../trees/turns.ts";
import { placesOf } from "../claim-disk.ts";
import { ClaimRecords } from "../claim-records.ts";
import { LayerUse } from "../layer-use.ts";
import { LetIn } from "../let-in.ts";
import { Limits } from "../limits.ts";
import { openOccupants } from "../occupants.ts";
import { Promises } from "../promises.ts";
import { Unmounts } from "../unmounts.ts";
import { openVolumeTurns } from "../volume-turns.ts";
import { openWriteBack } from "../write-back.ts";
import { driver } from "./claims.ts";
import { call } from "./node.ts";

export class Stopped extends Error {}

export type RealNodeOptions = {
  readonly chainMax?: number;
  readonly layerMax?: number;
  /** Waited for before each trimming, unless that is hastened. */
  readonly beforeTrim?: Promise<void>;
  /** What is to trim, given what really does. */
  readonly trimBy?: (real: Trimmer) => Trimmer;
};

/** Who brings a password may have what it opens. */
const keyring: Keyring = {
  accessesFor: async ({ host, repository }, { username, password }) => {
    if (username === undefined || password === undefined) return [{ host, repository }];
    const credentials: Credentials = { kind: "basic", username, password };
    return [{ host, repository, credentials, origin: "the secret" }];
  },
};

const platform = { os: "linux", architecture: "amd64" };
const noop = () => Promise.resolve();

/** A node with a root of its own, for as long as it is not disposed of. */
export class RealNode implements AsyncDisposable {
  readonly root = mkdtempSync(path.join(os.tmpdir(), "larder-node-"));
  readonly log = openMemoryLog();
  readonly rig = new Rig();
  readonly files = new LinuxFiles({ run: noop });
  readonly metrics = new MemoryMetrics();
  readonly mounts = new MemoryMounts();
  readonly #options: RealNodeOptions;
  readonly #stack = new AsyncDisposableStack();
  #run = new AsyncDisposableStack();
  /** The step of a push after which the plugin dies. */
  stopAt: string | undefined;
  readonly steps: string[] = [];
  #drawn = 0;

  constructor(options: RealNodeOptions = {}) {
    this.#options = options;
    this.#stack.defer(() => rmSync(this.root, { recursive: true, force: true }));
    this.#stack.use(this.rig);
    this.#stack.defer(() => this.#run.disposeAsync());
  }

  /** The plugin as a start makes it, on what is there. */
  async start() {
    const claims = await ClaimRecords.open(this.files, this.root, this.log.log);
    const promises = new Promises({ claims, limits: new Limits(undefined), overcommit: 1 });
    const store = await this.#openStore(promises);
    const { trees } = store;
    claims.holdBy(trees);
    const occupants = openOccupants({ records: { all: new Map() }, claims });
    const base = { ...this.#ports(), ...store, claims, promises, occupants, layers: trees.claimLayers };
    const deps = { ...base, ...(await this.#openPush()) };
    return {
      ...deps,
      groupedLayers: trees.groupedLayers,
      groupTrees,
      fill: async (record: ClaimRecord, below: readonly string[]) => {
        const { settings: wishes } = record;
        const filling = { upper: placesOf(this.root, record).upper, layout: wishes.layout, wishes };
        await fillUpper(filling, below);
      },
      ...openWriteBack({ ...deps, push: deps.pushing }),
      flights: new Map(),
    };
  }

  /** As a start after the plugin ended. */
  async restart() {
    await this.#run.disposeAsync();
    this.#run = new AsyncDisposableStack();
    return await this.start();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stack.disposeAsync();
  }

  async #openStore(promises: Promises) {
    const { log } = this.log;
    const unpacker = this.#run.use(openUnpacker({ threads: 1 }));
    const { removeTree } = this.#run.use(openRemover());
    const trees = await openTrees(
      {
        reader: this.rig.reader,
        unpacker,
        files: this.files,
        removeTree,
        log,
        metrics: this.metrics,
        now: () => this.rig.now,
        promised: () => promises.weigh(),
        salt: Buffer.from("salt"),
      },
      this.root,
      {
        marks: { high: { kind: "percent", percent: 100 }, low: { kind: "percent", percent: 90 } },
        concurrency: 4,
        // A registry that is away takes its clock on by minutes each time that it is asked.
        proofTtlMs: 3_600_000,
        staleTags: true,
        keepSetuid: false,
      },
    );
    this.#run.use(trees);
    const directory = path.join(this.root, "trash");
    const trash = new Trash({ files: this.files, directory, removeTree, onTrouble: () => undefined });
    this.#run.defer(() => trash.emptied());
    return { trees, discard: (at: string) => trash.take(at) };
  }

  #openTrimmer(): Trimmer {
    const { beforeTrim, trimBy = (real) => real } = this.#options;
    const trimmer = trimBy(this.#run.use(openTrimmer()));
    if (beforeTrim === undefined) return trimmer;
    return {
      ...trimmer,
      trim: async (job, when) => {
        const hastened = new Promise<void>((resolve) =>
          when.haste.addEventListener("abort", () => resolve()),
        );
        await Promise.race([beforeTrim, hastened]);
        return await trimmer.trim(job, when);
      },
    };
  }

  async #openPush() {
    const { rig } = this;
    const program = await tool("oras");
    const attempts = path.join(this.root, "attempts");
    const oras = openOras({ processes: openProcesses(), program, attempts, ...openOrasReach(rig.hosts) });
    return {
      packer: this.#run.use(openPacker({ threads: 1 })),
      trimmer: this.#openTrimmer(),
      reader: rig.reader,
      listTags: async (access: Access, signal: AbortSignal) => await oras.listTags(access, { signal }),
      pushing: { ...rig.patience, oras, upstream: rig.reader },
      layerMax: this.#options.layerMax ?? 2 ** 30,
      chainMax: this.#options.chainMax ?? 8,
      signal: call.signal,
      onPushStep: async (step: string) => {
        this.steps.push(step);
        if (step === this.stopAt) throw new Stopped(step);
      },
    };
  }

  #ports() {
    return {
      files: this.files,
      mounts: this.mounts,
      root: this.root,
      log: this.log.log,
      metrics: this.metrics,
      keyring,
      platform,
      driver,
      registries: [],
      node: "node-1",
      flags: { noSuid: true, noDev: true },
      pending: { kind: "percent", percent: 20 } as const,
      limits: new Limits(undefined),
      turns: openVolumeTurns(),
      unmounts: new Unmounts(),
      use: new LayerUse(),
      letIn: new LetIn(),
      headTurns: new Turns(1),
      clock: { now: () => ++this.rig.now, pause: () => new Promise<void>(() => undefined) },
      drawId: () => `id${++this.#drawn}`,
    };
  }
}

export type RealDeps = Awaited<ReturnType<RealNode["start"]>>;
