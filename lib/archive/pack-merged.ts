// Packs what layers show together as one tree, without any marks: a new base, or what plain tools unpack.
import type { Name } from "../host/directory.ts";
import { DEVICE_NOTE, isDevice, LeftOutNotes, whyLeftOut } from "./left-out.ts";
import { MergedDescent, type Shown } from "./merged-descent.ts";
import type { Packed } from "./pack-delta.ts";
import { packFailure } from "./pack-failure.ts";
import { PackTally } from "./pack-progress.ts";
import { readPackedAttributes } from "./packed-attributes.ts";
import { PackedParts, type PackOutput } from "./packed-parts.ts";
import { TreeWriter } from "./tree-writer.ts";

export type MergedJob = PackOutput & {
  /** Topmost first; at least one. */
  readonly layers: readonly string[];
};

/**
 * The same tree gives the same bytes, however many layers it is made of. Nothing may write to them meanwhile.
 * Failures: full, unavailable, conflict.
 */
export async function packMerged(job: MergedJob, tally = new PackTally()): Promise<Packed> {
  using parts = new PackedParts(job, tally);
  using packer = new MergedPacker(job, { parts, tally });
  return await packer.pack();
}

class MergedPacker implements Disposable {
  readonly #parts: PackedParts;
  readonly #tally: PackTally;
  readonly #view: MergedDescent;
  readonly #writer: TreeWriter;
  readonly #leftOut = new LeftOutNotes();

  constructor(job: MergedJob, { parts, tally }: { readonly parts: PackedParts; readonly tally: PackTally }) {
    this.#parts = parts;
    this.#tally = tally;
    this.#view = new MergedDescent(job.layers);
    this.#writer = new TreeWriter(parts, job, this.#leftOut);
  }

  [Symbol.dispose](): void {
    this.#view[Symbol.dispose]();
  }

  async pack(): Promise<Packed> {
    const root = this.#view.own();
    if (root !== undefined) await this.#enter(root);
    const lists = [this.#view.list().reverse()];
    while (lists.length > 0) {
      const name = lists.at(-1)?.pop();
      if (name !== undefined) {
        if (await this.#take(name)) lists.push(this.#view.list().reverse());
        continue;
      }
      lists.pop();
      this.#writer.leave();
      if (lists.length > 0) this.#view.ascend();
    }
    const { entries, bytes } = this.#writer;
    return { parts: await this.#parts.close(), entries, bytes, leftOut: this.#leftOut.toLeftOut() };
  }

  /** True when it is a directory, in which it is then. */
  async #take(name: Name): Promise<boolean> {
    this.#tally.look();
    const shown = this.#view.find(name);
    if (shown === undefined) return false;
    const path = this.#writer.pathOf(name);
    const own = isDevice(shown.status) ? DEVICE_NOTE : undefined;
    const why = whyLeftOut(name, shown.status, path.length - name.length) ?? own;
    if (why !== undefined) {
      this.#leftOut.add(path, why);
      return false;
    }
    if (shown.status.type === "directory") {
      await this.#enter(shown);
      this.#view.descend(name);
      return true;
    }
    await this.#writer.add({ ...shown, attributes: this.#attributes(shown, path) });
    return false;
  }

  async #enter(shown: Shown): Promise<void> {
    this.#writer.enter(shown.name, this.#attributes(shown, this.#writer.pathOf(shown.name)));
    await this.#writer.announce();
  }

  #attributes(shown: Shown, path: string) {
    try {
      return readPackedAttributes(shown, shown.status, "plain");
    } catch (error) {
      throw packFailure(error, path);
    }
  }
}
