// What the layers beneath one show at a path: theirs, one over the other, as overlayfs would.
import { Directory, type Name } from "../host/directory.ts";
import { type Found, lookUp } from "./look-up.ts";
import { isOpaque, isWhiteout } from "./overlay-marks.ts";

/** Follows nothing: a layer beneath is as hostile as any. */
export class Beneath implements Disposable {
  readonly #layers: readonly Directory[];

  /** Topmost first. */
  constructor(layers: readonly string[]) {
    using opened = new DisposableStack();
    this.#layers = layers.map((layer) => opened.use(Directory.open(layer)));
    opened.move();
  }

  /** The topmost entry that is not hidden; its parent is the caller's to dispose of. */
  find(components: readonly Name[]): Found | undefined {
    for (const layer of this.#layers) {
      let hides = false;
      const found = lookUp(layer, components, (directory) => {
        hides ||= isOpaque(directory);
      });
      if (found.kind === "found" && !isWhiteout({ directory: found.parent, name: found.name }, found.status))
        return found;
      if (found.kind === "found") found.parent[Symbol.dispose]();
      if (found.kind !== "absent" || hides) return undefined;
    }
    return undefined;
  }

  [Symbol.dispose](): void {
    for (const layer of this.#layers) layer[Symbol.dispose]();
  }
}
