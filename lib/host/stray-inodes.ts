// Finds what lies in a directory and is not charged to its project, while pods write there.
import fs from "node:fs";
import { setImmediate } from "node:timers/promises";
import { Descent } from "./descent.ts";
import { Directory, type Name } from "./directory.ts";
import type { EntryStatus } from "./entry-status.ts";
import { errorCode } from "./errno.ts";
import type { Strays } from "./quotas.ts";
import { readProjectOf } from "./xfs-calls.ts";

/** How many entries are looked at before others get their turn. */
const SLICE = 64;

/** Errors are Node's own. Entries that vanish under its eyes are passed by, as is what has no project to change. */
export async function findStrays(path: string, project: number, signal: AbortSignal): Promise<Strays> {
  using walk = new StrayWalk(Directory.open(path), project);
  return await walk.find(signal);
}

class StrayWalk implements Disposable {
  readonly #descent: Descent;
  readonly #project: number;
  /** Of those with several names, so that each counts once. */
  readonly #linked = new Set<string>();
  #bytes = 0;
  #inodes = 0;

  constructor(start: Directory, project: number) {
    this.#descent = new Descent(start);
    this.#project = project;
  }

  [Symbol.dispose](): void {
    this.#descent[Symbol.dispose]();
  }

  async find(signal: AbortSignal): Promise<Strays> {
    this.#take(this.#descent.current.fd, this.#descent.current.ownStatus());
    const lists = [this.#descent.current.list()];
    for (let steps = 1; lists.length > 0; steps++) {
      if (steps % SLICE === 0) await setImmediate();
      signal.throwIfAborted();
      const name = lists.at(-1)?.pop();
      if (name !== undefined) {
        if (unlessGone(() => this.#look(name)) === true) lists.push(this.#descent.current.list());
        continue;
      }
      lists.pop();
      if (lists.length > 0) this.#descent.ascend();
    }
    return { bytes: this.#bytes, inodes: this.#inodes };
  }

  /** True when it is a directory, in which it is then. */
  #look(name: Name): boolean {
    const { current } = this.#descent;
    const status = current.status(name);
    if (status.isMountRoot) return false;
    if (status.type === "directory") {
      this.#take(this.#descent.descend(name).fd, status);
      return true;
    }
    // Nothing else can be opened without waking a device or a fifo, nor can its project be changed.
    if (status.type !== "file") return false;
    const fd = current.openFile(name);
    try {
      this.#take(fd, status);
    } finally {
      fs.closeSync(fd);
    }
    return false;
  }

  #take(fd: number, { blocks, inode, links, type }: EntryStatus): void {
    if (readProjectOf(fd) === this.#project) return;
    if (type === "file" && links > 1) {
      if (this.#linked.has(inode)) return;
      this.#linked.add(inode);
    }
    this.#bytes += blocks * 512;
    this.#inodes++;
  }
}

function unlessGone<T>(look: () => T): T | undefined {
  try {
    return look();
  } catch (error) {
    // Removed, or something else by now.
    if (["ENOENT", "ENOTDIR", "ELOOP", "ENXIO", "ENOTTY"].includes(errorCode(error) ?? "")) return undefined;
    throw error;
  }
}
