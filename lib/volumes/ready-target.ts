// What a publish does before it mounts: its Record, then its target; beside the pull where there is one.
import { type InlineRecord, recordName } from "../core/record.ts";
import type { Files } from "../host/files.ts";
import type { ArrivingTree, LeasedTree } from "../trees/tree-request.ts";
import type { Trees } from "../trees/trees.ts";
import type { Records } from "./records.ts";

export type WantedRecord = Omit<InlineRecord, "digest" | "treeKey" | "boot">;

type ReadyDeps = {
  readonly files: Files;
  readonly records: Records;
  readonly trees: Pick<Trees, "hold">;
};

export class ReadyTarget {
  readonly #deps: ReadyDeps;
  readonly #wanted: WantedRecord;
  #begun: { readonly tree: ArrivingTree; readonly done: Promise<void> } | undefined;

  constructor(deps: ReadyDeps, wanted: WantedRecord) {
    this.#deps = deps;
    this.#wanted = wanted;
  }

  /** Whether something of it may be there, whatever became of it. */
  get isBegun(): boolean {
    return this.#begun !== undefined;
  }

  /** Begins before the Tree is here. Who does not go on to `finish()` waits until it is `settled()`, and undoes it. */
  begin(tree: ArrivingTree): void {
    if (this.#begun !== undefined) return;
    const done = this.#write(tree, []);
    // Told by finish(), or undone.
    done.catch(() => undefined);
    this.#begun = { tree, done };
  }

  async settled(): Promise<void> {
    await this.#begun?.done.catch(() => undefined);
  }

  /** The Tree is held, and the Record and the directory are there when it resolves: only the mount is left. */
  async finish(tree: LeasedTree): Promise<void> {
    const begun = this.#begun;
    await begun?.done;
    if (begun?.tree.key !== tree.key || begun.tree.digest !== tree.digest)
      return await this.#write(tree, tree.layerIds);
    this.#hold(tree, tree.layerIds);
  }

  /** The Record before the mount it describes, so that a crash in between leaves a Record, never a mount without one. */
  async #write(tree: ArrivingTree, layerIds: LeasedTree["layerIds"]): Promise<void> {
    const { files, records } = this.#deps;
    this.#hold(tree, layerIds);
    const { digest, key: treeKey } = tree;
    await records.write({ ...this.#wanted, digest, treeKey, boot: files.bootId() });
    await files.makeDirectory(this.#wanted.target, { mode: 0o750 });
  }

  #hold({ key }: ArrivingTree, layerIds: LeasedTree["layerIds"]): void {
    const { volumeId, target } = this.#wanted;
    this.#deps.trees.hold(recordName(volumeId, target), [key, ...layerIds]);
  }
}
