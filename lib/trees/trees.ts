// The node's store of Trees: leased to those who may have them, pulled where they are not here, bounded.
import type { Access } from "../core/access.ts";
import type { Digest } from "../core/digest.ts";
import { isFailure } from "../core/failure.ts";
import { treeKey } from "../core/layer-id.ts";
import { formatReference, type Reference } from "../core/reference.ts";
import type { FetchedTag } from "../registry/reader.ts";
import { telling } from "./arrival.ts";
import { ClaimLayers } from "./claim-layers.ts";
import { toDiskFailure } from "./disk-failure.ts";
import type { GroupedLayers } from "./grouped-layers.ts";
import { type Asked, type Meaning, Meanings } from "./meaning.ts";
import { registryOf } from "./permission.ts";
import { pullTree } from "./pull.ts";
import type { Store } from "./store.ts";
import type { LeasedTree, TreeRequest, Waiter } from "./tree-request.ts";

export type Figures = {
  readonly usedBytes: number;
  readonly reservedBytes: number;
  /** Of what is reserved: what is still free on the disk. */
  readonly incomingBytes: number;
  readonly layers: number;
  readonly trees: number;
  readonly partials: number;
  /** Times that a caller found somebody else's pull in the air. */
  readonly joined: number;
};

export class Trees implements AsyncDisposable {
  /** For pods of a group. */
  readonly groupedLayers: GroupedLayers;
  readonly #store: Store;
  readonly #meanings: Meanings;

  constructor(store: Store) {
    this.#store = store;
    this.groupedLayers = store.grouped;
    const { rights, tags, now } = store;
    this.#meanings = new Meanings({ rights, tags, now, staleTags: store.settings.staleTags });
  }

  /**
   * The Tree, once one of the accesses is proven to have the right to it and it is in place. An aborted signal ends
   * the waiting with its reason and nothing else: the same request joins the pull again.
   * Failures: denied, not-found, unavailable, corrupt, invalid, unsupported, full.
   */
  async lease(request: TreeRequest, waiter: Waiter): Promise<LeasedTree> {
    const { inventory } = this.#store;
    const asked = this.#askedBy(request);
    const { digest, notes, access } = await this.#granted(asked, waiter.asking ?? waiter.signal);
    await this.#meanings.remember(asked, digest);
    const key = this.#keyOf(request, digest);
    const pin = inventory.pin([key]);
    try {
      const hit = this.#isHere(key, registryOf(access));
      if (!hit) await this.#pull(request, { access, key, digest, call: asked.call }, waiter);
      else this.#store.countHit(key);
      this.#meanings.serve(asked.call);
      return this.#leased(key, { pin, hit, notes });
    } catch (error) {
      pin[Symbol.dispose]();
      throw error;
    }
  }

  /**
   * Resolves once it is here, or its pull is in the air, which needs nobody who waits: whoever leases it joins, and hears
   * how it ended. Failures as lease().
   */
  async begin(request: TreeRequest, signal: AbortSignal): Promise<void> {
    const asked = this.#askedBy(request);
    const { digest, access } = await this.#granted(asked, signal);
    await this.#meanings.remember(asked, digest);
    const key = this.#keyOf(request, digest);
    if (this.#isHere(key, registryOf(access))) return;
    const leaving = new AbortController();
    const begun = new Error("the pull has begun");
    // One that failed before, or fails at once, is heard of first.
    setImmediate(() => leaving.abort(begun));
    try {
      await this.#pull(request, { access, key, digest, call: asked.call }, { signal: leaving.signal });
    } catch (error) {
      if (error !== begun) throw error;
    }
  }

  /** What a tag means now, with its manifest. A lease of that digest needs no other proof for a while. */
  async fetchTag(access: Access, reference: Reference, signal: AbortSignal): Promise<FetchedTag> {
    return await this.#store.rights.fetchTag(access, reference, signal);
  }

  /** What a Record names (keys of Trees, ids of Layers) is not collected until `letGo()`. Replaces what it held before. */
  hold(holder: string, roots: readonly Digest[]): void {
    this.#store.inventory.hold(holder, roots);
  }

  /** The same for all that is here now: where it cannot be read what a Record names, it may be any of it. */
  holdAll(holder: string): void {
    const { trees, layers } = this.#store.inventory;
    this.hold(holder, [...trees.keys(), ...layers.keys()]);
  }

  letGo(holder: string): void {
    this.#store.inventory.letGo(holder);
  }

  /** What the Tree holds, Layers that others share included; undefined where it is not here. */
  sizeOf(key: Digest): { readonly bytes: number; readonly inodes: number } | undefined {
    return this.#store.inventory.sizeOf(key);
  }

  /** The directories of these Layers, topmost first as they were named lowest first; undefined where one is not here. */
  contents(layers: readonly Digest[]): readonly string[] | undefined {
    const { inventory, layout } = this.#store;
    if (!layers.every((id) => inventory.layers.has(id))) return undefined;
    return layers.toReversed().map((id) => layout.content(id));
  }

  /** What a collection could free now. */
  collectableBytes(): number {
    return this.#store.collector.collectableBytes();
  }

  /** Frees so much, the longest unused first, or what there is; resolves to how much that was. */
  async collect(bytes: number): Promise<number> {
    return await this.#store.collect(Math.max(0, this.#store.inventory.usedBytes - bytes));
  }

  /** For what claims write, which no registry has yet. */
  get claimLayers(): ClaimLayers {
    return new ClaimLayers(this.#store);
  }

  /** What a timer calls: syncs, expires what rests, notes what was used, and collects above the high mark. */
  async tend(): Promise<void> {
    await this.#store.tend();
  }

  figures(): Figures {
    return this.#store.figures();
  }

  /** Ends flights so that a later start resumes them, and waits for what is being written. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#store[Symbol.asyncDispose]();
  }

  /** What is asked for, and the access that may have it. */
  async #granted(asked: Asked, signal: AbortSignal): Promise<Meaning & { readonly access: Access }> {
    const { rights } = this.#store;
    const meaning = await this.#meanings.resolve(asked, signal);
    try {
      return { ...meaning, access: await rights.prove(asked.accesses, meaning.digest, signal) };
    } catch (error) {
      const isGone = isFailure(error, "not-found") || isFailure(error, "denied");
      if (!meaning.isOld || !isGone) throw error;
    }
    // The tag has moved and its old manifest was deleted, or is not for these credentials: the tag itself may be.
    const renewed = await this.#meanings.renew(asked, signal);
    return { ...renewed, access: await rights.prove(asked.accesses, renewed.digest, signal) };
  }

  async #pull(
    request: TreeRequest,
    pull: { readonly access: Access; readonly key: Digest; readonly digest: Digest; readonly call: string },
    waiter: Waiter,
  ): Promise<void> {
    const { access, key, digest, call } = pull;
    const { platform, mediaTypes, layout, reference } = request;
    const asker = { access, as: this.#store.proofs.who(access) };
    const artifact = formatReference(reference);
    const taken = mediaTypes === undefined ? {} : { mediaTypes };
    const wanted = { key, digest, platform, layout, name: artifact, ...taken };
    const { signal } = waiter;
    const onProgress = telling(waiter, artifact, { key, digest });
    try {
      await this.#store.pulls.join(asker, key, { signal, onProgress }, (meter) =>
        pullTree(this.#store.pull, asker, wanted, meter),
      );
    } catch (error) {
      if (signal.aborted) this.#meanings.leave(call, digest);
      else this.#meanings.forget(call);
      throw toDiskFailure(error, artifact);
    }
  }

  #leased(
    key: Digest,
    found: { readonly pin: Disposable; readonly hit: boolean; readonly notes: readonly string[] },
  ): LeasedTree {
    const { inventory, layout, now } = this.#store;
    const tree = inventory.trees.get(key);
    if (tree === undefined) throw new Error(`the tree ${key} was collected under a pin`);
    inventory.touch(key, now());
    const layerIds = tree.layers.toReversed();
    return {
      key,
      digest: tree.digest,
      layers: layerIds.map((id) => layout.content(id)),
      layerIds,
      notes: [...found.notes, ...tree.notes],
      hit: found.hit,
      [Symbol.dispose]: () => found.pin[Symbol.dispose](),
    };
  }

  #askedBy(request: TreeRequest): Asked {
    const { accesses, reference, platform, mediaTypes, layout, pullPolicy } = request;
    const who = accesses.map((access) => this.#store.proofs.who(access));
    const registry = accesses[0] === undefined ? "" : registryOf(accesses[0]);
    return {
      accesses,
      reference,
      ...(pullPolicy === undefined ? {} : { policy: pullPolicy }),
      call: JSON.stringify([who, formatReference(reference), platform, mediaTypes, layout]),
      isHere: (digest) => this.#isHere(this.#keyOf(request, digest), registry),
    };
  }

  #keyOf({ platform, mediaTypes, layout }: TreeRequest, digest: Digest): Digest {
    const { keepSetuid } = this.#store.settings;
    return treeKey({
      digest,
      platform,
      layout,
      keepSetuid,
      ...(mediaTypes === undefined ? {} : { mediaTypes }),
    });
  }

  /** Whether it is whole here, and its manifest and all its bytes came from that registry, or went there. */
  #isHere(key: Digest, registry: string): boolean {
    const { inventory } = this.#store;
    const tree = inventory.trees.get(key);
    const isFrom = (id: Digest) => inventory.layers.get(id)?.sources.includes(registry) === true;
    const isServed = (id: Digest) => (tree?.isPushed === true ? inventory.layers.has(id) : isFrom(id));
    return tree?.sources.includes(registry) === true && tree.layers.every(isServed);
  }
}
