// What is known of a layer that its own archive does not settle, kept true while entries replace each other.
import type { Unsettled } from "./unpacker.ts";

/** Paths are latin1 text, relative to the layer; "" is its root. */
export class LayerNotes {
  readonly implied = new Set<string>();
  readonly links = new Map<string, string>();
  readonly whiteouts = new Set<string>();
  readonly opaques = new Set<string>();

  /** Something took this path's place: nothing noted of it, or of what was beneath it, holds any more. */
  forget(path: string): void {
    const beneath = `${path}/`;
    for (const noted of [this.implied, this.links, this.whiteouts, this.opaques])
      for (const key of noted.keys()) if (key === path || key.startsWith(beneath)) noted.delete(key);
  }

  toUnsettled(): Unsettled {
    return {
      implied: [...this.implied],
      links: [...this.links].map(([path, target]) => ({ path, target })),
      whiteouts: [...this.whiteouts],
      opaques: [...this.opaques],
    };
  }
}
