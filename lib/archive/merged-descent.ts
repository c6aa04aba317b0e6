// A way down into what layers show together, one over the other as overlayfs would, as deep as it goes.
import { Descent } from "../host/descent.ts";
import { Directory, type Name } from "../host/directory.ts";
import type { EntryStatus } from "../host/entry-status.ts";
import { WHITEOUT } from "./entry-name.ts";
import { isOpaque, isWhiteout, isWhole } from "./overlay-marks.ts";

/** The directory is the descent's own, and good until that moves. */
export type Shown = { readonly directory: Directory; readonly name: Name; readonly status: EntryStatus };

/**
 * Starts in the root. Every step down succeeds, into nothing where no directory is shown; nothing is ever followed.
 * Names that an archive can only mean as marks are not there.
 */
export class MergedDescent implements Disposable {
  readonly #layers: readonly Descent[];
  /** In it nothing is a mark, and beneath it nothing shows. */
  readonly #whole: Descent | undefined;
  /** For each depth the layers that show through, topmost first. */
  readonly #showing: Array<readonly Descent[]>;

  /** Topmost first. */
  constructor(layers: readonly string[]) {
    using opened = new DisposableStack();
    this.#layers = layers.map((layer) => opened.use(new Descent(Directory.open(layer))));
    this.#whole = this.#layers.find(({ current }) => isWhole(current));
    this.#showing = [throughOpaque(this.#layers)];
    opened.move();
  }

  /** Whether there is a directory here at all. */
  get isHere(): boolean {
    return this.#here.length > 0;
  }

  /** The directory itself. */
  own(): Shown | undefined {
    const directory = this.#here[0]?.current;
    return directory === undefined ? undefined : { directory, name: ".", status: directory.ownStatus() };
  }

  find(name: Name): Shown | undefined {
    if (name.startsWith(WHITEOUT)) return undefined;
    for (const layer of this.#here) {
      const place = { directory: layer.current, name };
      const status = layer.current.find(name);
      if (status === undefined) continue;
      return layer !== this.#whole && isWhiteout(place, status) ? undefined : { ...place, status };
    }
    return undefined;
  }

  /** Sorted by their bytes. */
  list(): Name[] {
    const seen = this.#here.map(({ current }) => current.census());
    const names = new Set(seen.flatMap((census) => census.names));
    // Others than devices hide nothing.
    const marks = new Set(seen.flatMap(({ devices }) => devices));
    const isShown = (name: Name) =>
      !name.startsWith(WHITEOUT) && (!marks.has(name) || this.find(name) !== undefined);
    return [...names].filter(isShown).sort();
  }

  descend(name: Name): void {
    const found: Descent[] = [];
    for (const layer of name.startsWith(WHITEOUT) ? [] : this.#here) {
      const status = layer.current.find(name);
      if (status === undefined) continue;
      if (status.type !== "directory") break;
      layer.descend(name);
      found.push(layer);
      if (layer !== this.#whole && isOpaque(layer.current)) break;
    }
    this.#showing.push(found);
  }

  ascend(): void {
    for (const layer of this.#showing.pop() ?? []) layer.ascend();
  }

  /** Until the next ascent there is nothing here. */
  conceal(): void {
    const isRoot = this.#showing.length === 1;
    for (const layer of this.#showing.pop() ?? []) if (!isRoot) layer.ascend();
    this.#showing.push([]);
  }

  [Symbol.dispose](): void {
    for (const layer of this.#layers) layer[Symbol.dispose]();
  }

  get #here(): readonly Descent[] {
    return this.#showing.at(-1) ?? [];
  }
}

function throughOpaque(layers: readonly Descent[]): readonly Descent[] {
  const opaque = layers.findIndex(({ current }) => isWhole(current) || isOpaque(current));
  return opaque < 0 ? layers : layers.slice(0, opaque + 1);
}
