// What leaves the node's store when it holds too much: the longest unused first, and never what is in use.

/** Bytes that several Layers have in common, such as a raw file that is one inode in all of them. */
export type SharedBytes = { readonly id: string; readonly bytes: number };

export type HeldLayer = {
  readonly id: string;
  /** What goes with this Layer alone. */
  readonly bytes: number;
  readonly shared: readonly SharedBytes[];
};

export type HeldTree = {
  readonly key: string;
  readonly layers: readonly string[];
  readonly lastUsedMs: number;
};

export type Held = {
  readonly trees: readonly HeldTree[];
  readonly layers: readonly HeldLayer[];
  /** Downloads that nobody is busy with. */
  readonly partials: ReadonlyArray<{
    readonly id: string;
    readonly bytes: number;
    readonly lastUsedMs: number;
  }>;
};

export type Budget = {
  readonly highBytes: number;
  readonly lowBytes: number;
  /** What is taken and cannot go: reservations, downloads under way. */
  readonly takenBytes: number;
  /** The room that is wanted now. */
  readonly wantedBytes: number;
};

export type Collection = {
  /** Forget these Trees first, then remove the Layers, so that no Tree ever names a Layer that is gone. */
  readonly trees: readonly string[];
  readonly layers: readonly string[];
  readonly partials: readonly string[];
  /** What is held before and after, without what is wanted. */
  readonly usedBytes: number;
  readonly leftBytes: number;
  /** Whether what is wanted then fits under the high mark. */
  readonly isEnough: boolean;
};

/**
 * Nothing, while what is wanted fits under the high mark. Else, until it fits under the low one: abandoned downloads,
 * Layers that no Tree names, then Trees by when they were last used. `roots` are keys of Trees, ids of Layers
 * and of downloads that stay, with all they are made of.
 */
export function planCollection(held: Held, roots: ReadonlySet<string>, budget: Budget): Collection {
  const store = new Tally(held, roots);
  const usedBytes = store.bytes + budget.takenBytes;
  const isOver = (markBytes: number) => store.bytes + budget.takenBytes + budget.wantedBytes > markBytes;
  const partials: string[] = [];
  const trees: HeldTree[] = [];
  if (isOver(budget.highBytes)) {
    for (const partial of byAge(held.partials, ({ id }) => id)) {
      if (!isOver(budget.lowBytes)) break;
      if (roots.has(partial.id)) continue;
      store.bytes -= partial.bytes;
      partials.push(partial.id);
    }
    for (const { id } of held.layers) if (isOver(budget.lowBytes)) store.removeUnnamed(id);
    for (const tree of byAge(held.trees, ({ key }) => key)) {
      if (!isOver(budget.lowBytes)) break;
      if (roots.has(tree.key)) continue;
      store.forget(tree);
      trees.push(tree);
    }
  }
  const removed = new Set(store.removed);
  return {
    // A Tree whose Layers all stay for others was forgotten for nothing: it stays too.
    trees: trees
      .filter(({ layers }) => layers.length === 0 || layers.some((id) => removed.has(id)))
      .map(({ key }) => key),
    layers: store.removed,
    partials,
    usedBytes,
    leftBytes: store.bytes + budget.takenBytes,
    isEnough: !isOver(budget.highBytes),
  };
}

function byAge<Item extends { readonly lastUsedMs: number }>(
  items: readonly Item[],
  name: (item: Item) => string,
): readonly Item[] {
  return items.toSorted((a, b) => a.lastUsedMs - b.lastUsedMs || (name(a) < name(b) ? -1 : 1));
}

/** Who names what, and the bytes that are left. */
class Tally {
  bytes = 0;
  readonly removed: string[] = [];
  readonly #layers: Map<string, HeldLayer>;
  readonly #namedBy = new Map<string, number>();
  readonly #sharedBy = new Map<string, number>();

  constructor(held: Held, roots: ReadonlySet<string>) {
    this.#layers = new Map(held.layers.map((layer) => [layer.id, layer]));
    for (const { layers } of held.trees) for (const id of new Set(layers)) count(this.#namedBy, id, 1);
    for (const id of roots) count(this.#namedBy, id, 1);
    for (const layer of this.#layers.values()) {
      this.bytes += layer.bytes;
      for (const { id, bytes } of onceEach(layer.shared)) {
        if (count(this.#sharedBy, id, 1) === 1) this.bytes += bytes;
      }
    }
    for (const { bytes } of held.partials) this.bytes += bytes;
  }

  forget(tree: HeldTree): void {
    for (const id of new Set(tree.layers)) {
      count(this.#namedBy, id, -1);
      this.removeUnnamed(id);
    }
  }

  removeUnnamed(id: string): void {
    const layer = this.#layers.get(id);
    if (layer === undefined || (this.#namedBy.get(id) ?? 0) > 0) return;
    this.#layers.delete(id);
    this.removed.push(id);
    this.bytes -= layer.bytes;
    for (const shared of onceEach(layer.shared)) {
      if (count(this.#sharedBy, shared.id, -1) === 0) this.bytes -= shared.bytes;
    }
  }
}

const onceEach = (shared: readonly SharedBytes[]) => new Map(shared.map((one) => [one.id, one])).values();

function count(counts: Map<string, number>, id: string, by: number): number {
  const next = (counts.get(id) ?? 0) + by;
  counts.set(id, next);
  return next;
}
