// From a plan to a Layer in place: brought, unpacked, settled over what is beneath it, and renamed into the store.
import { randomUUID } from "node:crypto";
import { mkdir, rename } from "node:fs/promises";
import path from "node:path";
import type { Unsettled } from "../archive/unpacker.ts";
import type { Digest } from "../core/digest.ts";
import { Failure } from "../core/failure.ts";
import type { LayerPlan } from "../core/layer-plan.ts";
import type { Arrived, Asker, Blobs } from "./blobs.ts";
import type { Claim } from "./claims.ts";
import { toDiskFailure } from "./disk-failure.ts";
import { fillFiles } from "./file-layer.ts";
import { Flights } from "./flights.ts";
import type { Inventory } from "./inventory.ts";
import type { Layer, StoredBlob } from "./layer.ts";
import type { LayerStore } from "./layer-store.ts";
import type { Layout } from "./layout.ts";
import { registryOf } from "./permission.ts";

export type IngestDeps = {
  readonly blobs: Blobs;
  readonly inventory: Inventory;
  readonly layout: Layout;
  readonly store: LayerStore;
  readonly discard: (at: string) => Promise<void>;
  /** Settles an unpacked layer over those beneath it, topmost first. */
  readonly settle: (directory: string, below: readonly string[], unsettled: Unsettled) => Promise<void>;
  /** Fills the missing directory `to` with what `from` holds, sharing file contents by links. */
  readonly clone: (from: string, to: string) => Promise<void>;
  readonly onStep: (step: string) => Promise<void>;
};

/** The ids beneath a Layer, topmost first, once all of them are in place. */
export type Below = () => Promise<readonly Digest[]>;

type ArchivePlan = Exclude<LayerPlan, { kind: "files" }>;
type FilesPlan = Extract<LayerPlan, { kind: "files" }>;
type Settling = { readonly unsettled: Unsettled };
type Unpacked = Pick<Layer, "ownBytes" | "shared" | "inodes"> & Settling;

export class Ingest {
  readonly #deps: IngestDeps;
  readonly #flights = new Flights<void>();

  constructor(deps: IngestDeps) {
    this.#deps = deps;
  }

  /** Whether the Layer is here and its bytes came from this registry. */
  has(id: Digest, registry: string): boolean {
    return this.#deps.inventory.layers.get(id)?.sources.includes(registry) === true;
  }

  /** Ensures that the Layer is here and that its bytes came from the asker's registry. To keep it, pin its id before. */
  async ensure(asker: Asker, plan: LayerPlan, below: Below): Promise<void> {
    const registry = registryOf(asker.access);
    if (this.has(plan.id, registry)) return;
    await this.#flights.join(`${registry} ${plan.id}`, asker.as, async () => {
      using _pin = this.#deps.inventory.pin([plan.id]);
      const here = this.#deps.inventory.layers.get(plan.id);
      if (here !== undefined) await this.prove(asker, here);
      else if (plan.kind === "files") await this.#makeFiles(asker, plan);
      else await this.#makeArchive(asker, plan, below);
    });
  }

  /** Has the asker's registry send every byte of a Layer that is here, and counts it among the sources then. */
  async prove(asker: Asker, layer: Layer): Promise<void> {
    await Promise.all(layer.blobs.map((blob) => this.#sees(asker, blob)));
    await this.#deps.store.addSource(layer.id, registryOf(asker.access));
  }

  async landed(): Promise<void> {
    await this.#flights.landed();
    await this.#deps.blobs.landed();
  }

  /** Resolves when the directory made by `fill` has become the Layer; otherwise nothing is left of it. */
  async make(fill: (directory: string) => Promise<Omit<Layer, "boot">>): Promise<void> {
    const { layout, discard, store, onStep } = this.#deps;
    const directory = path.join(layout.ingest, randomUUID());
    await mkdir(directory, { mode: 0o700 });
    try {
      const layer = await fill(directory);
      await onStep("layer filled");
      await store.put(directory, layer);
    } catch (error) {
      await discard(directory);
      throw error;
    }
  }

  async #sees(asker: Asker, blob: StoredBlob): Promise<void> {
    await using claim = await this.#deps.blobs.raw(asker, blob, { upstreamOnly: true });
    claim.value.used = true;
  }

  async #makeFiles(asker: Asker, plan: FilesPlan): Promise<void> {
    const claims: Array<Claim<Arrived>> = [];
    try {
      await this.make(async (directory) => {
        const filled = await fillFiles(this.#deps, asker, plan.files, path.join(directory, "fs"));
        claims.push(...filled.claims);
        const { claims: _, ...layer } = filled;
        return { id: plan.id, kind: "files", sources: [registryOf(asker.access)], ...layer };
      });
      for (const { value } of claims) value.used = true;
    } catch (error) {
      throw toDiskFailure(error, `the files of ${asker.access.host}/${asker.access.repository}`);
    } finally {
      await Promise.all(claims.map((claim) => claim[Symbol.asyncDispose]()));
    }
  }

  async #makeArchive(asker: Asker, plan: ArchivePlan, below: Below): Promise<void> {
    const registry = registryOf(asker.access);
    const twin = this.#twinOf(plan, registry);
    const { digest, size } = plan.blob;
    const layer = { id: plan.id, kind: plan.kind, blobs: [{ digest, size }], files: [], sources: [registry] };
    if (twin !== undefined) {
      using _pin = this.#deps.inventory.pin([twin.id]);
      return await this.#settled(plan, below, async (directory) => {
        await this.#deps.clone(this.#deps.layout.content(twin.id), path.join(directory, "fs"));
        return { ...layer, ...cloned(twin) };
      });
    }
    await using claim = await this.#deps.blobs.unpacked(asker, plan);
    await this.#deps.onStep("blob unpacked");
    await this.#settled(plan, below, async (directory) => ({
      ...layer,
      ...(await this.#takeOver(claim, plan, directory)),
    }));
    claim.value.used = true;
  }

  /** Makes the Layer once all beneath it are in place: until then others may still share what was unpacked. */
  async #settled(
    plan: ArchivePlan,
    below: Below,
    fill: (directory: string) => Promise<Omit<Layer, "boot"> & Settling>,
  ): Promise<void> {
    const beneath = plan.kind === "image" ? await below() : [];
    using _pin = this.#pinned(beneath);
    await this.make(async (directory) => {
      const layer = await fill(directory);
      const { settle, layout } = this.#deps;
      const fs = path.join(directory, "fs");
      if (plan.kind === "image")
        await settle(
          fs,
          beneath.map((id) => layout.content(id)),
          layer.unsettled,
        );
      return layer;
    });
  }

  /** Holds what a Layer is settled over; it may be gone when the pull that brought it has failed meanwhile. */
  #pinned(beneath: readonly Digest[]): Disposable {
    const missing = beneath.find((id) => !this.#deps.inventory.layers.has(id));
    if (missing === undefined) return this.#deps.inventory.pin(beneath);
    throw new Failure("unavailable", `Cannot settle a layer: ${missing} beneath it was removed; try again`);
  }

  async #takeOver(claim: Claim<Arrived>, plan: ArchivePlan, directory: string): Promise<Unpacked> {
    const { unpacked } = claim.value;
    if (unpacked === undefined) throw new Error("an archive arrived without having been unpacked");
    const from = path.join(unpacked.directory, "fs");
    const to = path.join(directory, "fs");
    await claim.alone(async (isLast) => {
      if (!isLast) return await this.#deps.clone(from, to);
      claim.withdraw();
      await rename(from, to);
    });
    const { bytes, inodes, unsettled } = unpacked;
    return { ownBytes: 0, shared: [{ id: this.#partKey(plan), bytes }], inodes, unsettled };
  }

  /** A Layer over another chain that was made of the same blob in the same way, sent by the same registry. */
  #twinOf(plan: ArchivePlan, registry: string): (Layer & Settling) | undefined {
    const key = this.#partKey(plan);
    return this.#deps.inventory
      .layersOf(plan.blob.digest)
      .filter((layer) => layer.kind === "image" && layer.sources.includes(registry))
      .find(
        (layer): layer is Layer & Settling =>
          layer.unsettled !== undefined && layer.shared.some((part) => part.id === key),
      );
  }

  /** Equal for Layers whose files may be links to each other's. */
  #partKey({ kind, blob, diffId, compression, keepSetuid }: ArchivePlan): string {
    return [kind, blob.digest, compression, diffId, keepSetuid].join(" ");
  }
}

function cloned(twin: Layer & Settling): Unpacked {
  const { ownBytes, shared, inodes, unsettled } = twin;
  return { ownBytes, shared, inodes, unsettled };
}
