// What the store holds at this moment, in memory: Layers, Trees, resting partials, and who needs what.
import type { SharedBytes } from "../core/collection.ts";
import type { Digest } from "../core/digest.ts";
import { bytesOfLayer, type Layer } from "./layer.ts";
import type { Tree } from "./tree.ts";

/** Keys of Trees, ids of Layers and names of partials alike: all are hashes of what they name. */
export type Root = string;

export type RestingPartial = { readonly bytes: number; readonly sinceMs: number };

export class Inventory {
  readonly #layers = new Map<Digest, Layer>();
  readonly #trees = new Map<Digest, Tree>();
  readonly #lastUsed = new Map<Digest, number>();
  readonly #naming = new Map<Digest, number>();
  readonly #byBlob = new Map<Digest, Set<Digest>>();
  readonly #shared = new Map<string, { readonly bytes: number; count: number }>();
  readonly #partials = new Map<string, RestingPartial>();
  readonly #leaving = new Set<string>();
  readonly #pins = new Map<Root, number>();
  readonly #holds = new Map<string, Disposable>();
  #usedBytes = 0;

  get layers(): ReadonlyMap<Digest, Layer> {
    return this.#layers;
  }

  get trees(): ReadonlyMap<Digest, Tree> {
    return this.#trees;
  }

  /** Partials that nobody writes at the moment, by directory name. */
  get partials(): ReadonlyMap<string, RestingPartial> {
    return this.#partials;
  }

  /** On disk: own bytes, what is shared once, and resting partials. */
  get usedBytes(): number {
    return this.#usedBytes;
  }

  /** Takes the Layer in, or replaces what is known of it. */
  putLayer(layer: Layer): void {
    this.dropLayer(layer.id);
    this.#layers.set(layer.id, layer);
    this.#usedBytes += layer.ownBytes;
    for (const part of layer.shared) this.#share(part);
    for (const { digest } of layer.blobs) {
      const ids = this.#byBlob.get(digest) ?? new Set();
      this.#byBlob.set(digest, ids.add(layer.id));
    }
  }

  dropLayer(id: Digest): void {
    const layer = this.#layers.get(id);
    if (layer === undefined) return;
    this.#layers.delete(id);
    this.#usedBytes -= layer.ownBytes;
    for (const part of layer.shared) this.#unshare(part);
    for (const { digest } of layer.blobs) {
      const ids = this.#byBlob.get(digest);
      ids?.delete(id);
      if (ids?.size === 0) this.#byBlob.delete(digest);
    }
  }

  /** The Layers that were made of this blob, alone or among others. */
  layersOf(blob: Digest): readonly Layer[] {
    return [...(this.#byBlob.get(blob) ?? [])].flatMap((id) => this.#layers.get(id) ?? []);
  }

  putTree(tree: Tree, usedMs: number): void {
    this.dropTree(tree.key);
    this.#trees.set(tree.key, tree);
    this.#lastUsed.set(tree.key, usedMs);
    for (const id of tree.layers) this.#naming.set(id, this.treesOf(id) + 1);
  }

  dropTree(key: Digest): void {
    const tree = this.#trees.get(key);
    this.#trees.delete(key);
    this.#lastUsed.delete(key);
    for (const id of tree?.layers ?? []) {
      const left = this.treesOf(id) - 1;
      if (left > 0) this.#naming.set(id, left);
      else this.#naming.delete(id);
    }
  }

  /** What the References meant of which there is a Tree. */
  meanings(): ReadonlySet<Digest> {
    return new Set([...this.#trees.values()].map(({ digest }) => digest));
  }

  /** How many Trees name the Layer. */
  treesOf(layer: Digest): number {
    return this.#naming.get(layer) ?? 0;
  }

  lastUsed(key: Digest): number {
    return this.#lastUsed.get(key) ?? 0;
  }

  touch(key: Digest, nowMs: number): void {
    this.#lastUsed.set(key, nowMs);
  }

  putPartial(name: string, partial: RestingPartial): void {
    this.takePartial(name);
    this.#partials.set(name, partial);
    this.#usedBytes += partial.bytes;
  }

  /** It is being written again, or gone; what rested of it. */
  takePartial(name: string): RestingPartial | undefined {
    const resting = this.#partials.get(name);
    this.#usedBytes -= resting?.bytes ?? 0;
    this.#partials.delete(name);
    return resting;
  }

  /** It is on its way out, and of no use to anybody, until disposed of. */
  leavePartial(name: string): Disposable {
    this.takePartial(name);
    this.#leaving.add(name);
    return { [Symbol.dispose]: () => void this.#leaving.delete(name) };
  }

  isLeaving(partial: string): boolean {
    return this.#leaving.has(partial);
  }

  /** Keeps these from collection, whether they are here yet or not, until disposed of. */
  pin(roots: readonly Root[]): Disposable {
    for (const root of roots) this.#pins.set(root, (this.#pins.get(root) ?? 0) + 1);
    let held = true;
    return {
      [Symbol.dispose]: () => {
        if (!held) return;
        held = false;
        for (const root of roots) this.#unpin(root);
      },
    };
  }

  /** What the Tree holds, Layers that others share included; undefined where it is not here. */
  sizeOf(key: Digest): { readonly bytes: number; readonly inodes: number } | undefined {
    const layers = this.#trees.get(key)?.layers.flatMap((id) => this.#layers.get(id) ?? []);
    if (layers === undefined) return undefined;
    const sum = (of: (layer: Layer) => number) => layers.reduce((total, layer) => total + of(layer), 0);
    return { bytes: sum(bytesOfLayer), inodes: sum(({ inodes }) => inodes) };
  }

  /** What a Record names stays for as long as the Record does. Replaces what the holder held before. */
  hold(holder: string, roots: readonly Root[]): void {
    const pin = this.pin(roots);
    this.letGo(holder);
    this.#holds.set(holder, pin);
  }

  letGo(holder: string): void {
    this.#holds.get(holder)?.[Symbol.dispose]();
    this.#holds.delete(holder);
  }

  /** All that must stay. */
  roots(): ReadonlySet<Root> {
    return new Set(this.#pins.keys());
  }

  /** Whether a Lease, a flight or a Record wants it to stay. */
  isRoot(root: Root): boolean {
    return this.#pins.has(root);
  }

  #unpin(root: Root): void {
    const left = (this.#pins.get(root) ?? 1) - 1;
    if (left === 0) this.#pins.delete(root);
    else this.#pins.set(root, left);
  }

  #share({ id, bytes }: SharedBytes): void {
    const part = this.#shared.get(id);
    if (part !== undefined) {
      part.count++;
      return;
    }
    this.#shared.set(id, { bytes, count: 1 });
    this.#usedBytes += bytes;
  }

  #unshare({ id }: SharedBytes): void {
    const part = this.#shared.get(id);
    if (part === undefined || --part.count > 0) return;
    this.#shared.delete(id);
    this.#usedBytes -= part.bytes;
  }
}
