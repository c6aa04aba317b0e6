// Puts the store together: every part is made here, once, and shut down here.
import type { Cloned } from "../archive/clone-tree.ts";
import type { Unpacker, Unsettled } from "../archive/unpacker.ts";
import type { Promised } from "../core/capacity.ts";
import type { Digest } from "../core/digest.ts";
import { Failure } from "../core/failure.ts";
import type { Files } from "../host/files.ts";
import type { Log } from "../host/log.ts";
import type { Metrics } from "../host/metrics.ts";
import type { Reader } from "../registry/reader.ts";
import { Blobs } from "./blobs.ts";
import { Budget, type Marks } from "./budget.ts";
import { Collector } from "./collect.ts";
import { GroupedLayers } from "./grouped-layers.ts";
import { Ingest } from "./ingest.ts";
import { Inventory } from "./inventory.ts";
import { bytesOfLayer } from "./layer.ts";
import { LayerStore } from "./layer-store.ts";
import { Layout } from "./layout.ts";
import { Proofs } from "./permission.ts";
import type { PullDeps } from "./pull.ts";
import { ProgressMeter } from "./pull-progress.ts";
import { Pulls } from "./pulls.ts";
import { Rights } from "./rights.ts";
import { scanStore } from "./scan.ts";
import { SyncBehind } from "./sync-behind.ts";
import { Tags } from "./tags.ts";
import { Trash } from "./trash.ts";
import { Turns } from "./turns.ts";
import { UseNotes } from "./use-notes.ts";

export type StoreDeps = {
  readonly reader: Reader;
  readonly unpacker: Unpacker;
  readonly files: Files;
  readonly log: Log;
  readonly metrics: Pick<
    Metrics,
    "countBytes" | "countCollection" | "countHit" | "countJoined" | "countPull"
  >;
  readonly now: () => number;
  /** What claims on the same file system were given. */
  readonly promised: () => Promise<Promised>;
  /** Random, and of this process alone: what was proven cannot be told from what is remembered. */
  readonly salt: Uint8Array;
  readonly settle: (directory: string, below: readonly string[], unsettled: Unsettled) => Promise<void>;
  readonly cloneTree: (from: string, to: string) => Promise<void>;
  readonly cloneForGroup: (from: string, to: string, gid: number) => Promise<Cloned>;
  readonly removeTree: (directory: string, name: string) => Promise<void>;
  readonly assemble: (layers: readonly string[], to: string) => Promise<{ bytes: number; inodes: number }>;
  /** Waited for after each step, so that a test can stop there as a crash would. */
  readonly onStep?: (step: string) => Promise<void>;
};

export type StoreSettings = {
  readonly marks: Marks;
  /** How many blobs are brought at a time. */
  readonly concurrency: number;
  readonly proofTtlMs: number;
  readonly staleTags: boolean;
  readonly keepSetuid: boolean;
};

export class Store implements AsyncDisposable {
  readonly settings: StoreSettings;
  readonly layout: Layout;
  readonly inventory = new Inventory();
  readonly proofs: Proofs;
  readonly rights: Rights;
  readonly tags: Tags;
  readonly trash: Trash;
  readonly layers: LayerStore;
  readonly collector: Collector;
  readonly pulls: Pulls;
  readonly pull: PullDeps;
  readonly grouped: GroupedLayers;
  readonly files: Files;
  readonly now: () => number;
  readonly #deps: StoreDeps;
  readonly #onStep: (step: string) => Promise<void>;
  readonly #budget: Budget;
  readonly #blobs: Blobs;
  readonly #ingest: Ingest;
  readonly #syncBehind: SyncBehind;
  readonly #useNotes: UseNotes;
  readonly #closing = new AbortController();

  constructor(deps: StoreDeps, root: string, settings: StoreSettings) {
    const { files, reader, now, salt, log, metrics } = deps;
    this.#deps = deps;
    this.#onStep = deps.onStep ?? (() => Promise.resolve());
    this.now = now;
    this.files = files;
    this.settings = settings;
    this.layout = new Layout(root);
    this.proofs = new Proofs({ salt, ttlMs: settings.proofTtlMs, now });
    this.rights = new Rights(reader, this.proofs);
    this.tags = new Tags(files, this.layout);
    this.#useNotes = new UseNotes({ files, layout: this.layout, inventory: this.inventory, now });
    const onTrouble = (message: string, error: unknown) => log.error(message, { error });
    this.trash = new Trash({ files, directory: this.layout.trash, removeTree: deps.removeTree, onTrouble });
    const shared = this.#shared();
    this.layers = new LayerStore({ ...shared, files });
    this.collector = new Collector({ ...shared, files, store: this.layers, trash: this.trash });
    this.#budget = this.#openBudget(root);
    this.#blobs = this.#openBlobs();
    const blobs = this.#blobs;
    const { settle, cloneTree: clone, cloneForGroup, assemble } = deps;
    this.#ingest = new Ingest({ ...shared, blobs, store: this.layers, settle, clone });
    const onLanded = () => this.requestSync();
    this.grouped = new GroupedLayers({ ...shared, ingest: this.#ingest, cloneForGroup, onLanded });
    this.#syncBehind = new SyncBehind({
      isBusy: () => !this.pulls.isIdle || this.#closing.signal.aborted,
      sync: () => this.layers.sync(),
      onTrouble: (error) => log.warn("Cannot sync the store; it is tried again", { error }),
    });
    const openMeter = (registry: string) => new ProgressMeter(this.#blobs, registry, now);
    this.pulls = new Pulls({ ...shared, now, metrics, openMeter, onLanded });
    const closing = this.#closing.signal;
    const [ingest, budget] = [this.#ingest, this.#budget];
    this.pull = { ...shared, reader, ingest, budget, files, assemble, closing, now };
  }

  /** Takes in what is on the disk; once, before anything else. */
  async open(): Promise<void> {
    const { layout, inventory, trash, layers } = this;
    for (const id of await scanStore({ files: this.#deps.files, layout, inventory, trash }))
      layers.expectSync(id);
    await this.tags.open();
    this.requestSync();
  }

  /** Syncs behind, once no pull is in the air. */
  requestSync(): void {
    this.#syncBehind.request();
  }

  async tend(): Promise<void> {
    this.pulls.forgetOld();
    this.trash.retry();
    await this.collector.expirePartials(this.now());
    await this.#useNotes.write();
    await this.#budget.keep();
    // What is being pulled has its tag already, and no Tree yet.
    if (this.pulls.isIdle) await this.tags.forget(this.inventory.meanings());
    await this.layers.sync();
  }

  /** Removes the longest unused until no more than that is used, or nothing more can go; how many bytes that freed. */
  async collect(targetBytes: number): Promise<number> {
    const { bytes, trees, layers } = await this.collector.collect(targetBytes);
    if (trees + layers > 0) this.#deps.metrics.countCollection({ bytes, items: trees + layers });
    return bytes;
  }

  /** Counts what was found here instead of being brought. */
  countHit(key: Digest): void {
    const { inventory } = this;
    const layers = inventory.trees.get(key)?.layers.flatMap((id) => inventory.layers.get(id) ?? []) ?? [];
    this.#deps.metrics.countHit();
    this.#deps.metrics.countBytes(
      "cache",
      layers.reduce((sum, layer) => sum + bytesOfLayer(layer), 0),
    );
  }

  figures() {
    const { inventory, pulls } = this;
    return {
      usedBytes: inventory.usedBytes,
      reservedBytes: this.#budget.reservedBytes,
      incomingBytes: this.#budget.incomingBytes,
      layers: inventory.layers.size,
      trees: inventory.trees.size,
      partials: inventory.partials.size,
      joined: pulls.joined,
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort(
      new Failure("unavailable", "The plugin is stopping; the pull goes on when it is back"),
    );
    await this.pulls.landed();
    await this.#ingest.landed();
    await this.grouped.landed();
    await this.#syncBehind.ended();
    await this.#useNotes.write();
    await this.trash.emptied();
  }

  /** What most parts need. */
  #shared() {
    const { inventory, layout } = this;
    const discard = (at: string) => this.trash.take(at);
    return { inventory, layout, discard, onStep: this.#onStep, keepSetuid: this.settings.keepSetuid };
  }

  #openBudget(root: string): Budget {
    const { files, promised } = this.#deps;
    return new Budget({
      marks: this.settings.marks,
      promised,
      usedBytes: () => this.inventory.usedBytes,
      room: () => files.statFilesystem(root),
      collect: async (targetBytes) => void (await this.collect(targetBytes)),
    });
  }

  #openBlobs(): Blobs {
    const { reader, unpacker, files, now } = this.#deps;
    return new Blobs({
      ...this.#shared(),
      reader,
      unpacker,
      now,
      budget: this.#budget,
      turns: new Turns(this.settings.concurrency),
      boot: files.bootId(),
      closing: this.#closing.signal,
      onBytes: () => this.pulls.tell(),
    });
  }
}
