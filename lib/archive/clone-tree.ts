// Makes a directory that holds what others hold, sharing the contents of files.
import fs from "node:fs";
import { setImmediate } from "node:timers/promises";
import { giveToGroup } from "../core/volume-group.ts";
import { Descent } from "../host/descent.ts";
import { Directory, type Name } from "../host/directory.ts";
import type { EntryStatus } from "../host/entry-status.ts";
import { removeTreeNow } from "../host/remove-tree.ts";
import { readXattr } from "../host/xattrs.ts";
import { readAttributes, replaceOnDirectory } from "./attributes.ts";
import { copyEntry, type Describe, type Place } from "./copy-entry.ts";
import { isOpaque, isWhiteout, isWhole, OPAQUE_XATTR, WHOLE_XATTR } from "./overlay-marks.ts";

/**
 * `hardlink`: files are the same inodes, for trees that nobody writes to; what cannot be linked is copied.
 * `reflink-or-copy`: files are inodes of their own, whose blocks are shared where the file system can.
 */
export type CloneOptions = { readonly links: "hardlink" | "reflink-or-copy" };

/** What the new directory takes beside what it has by links; of these bytes some may lie in blocks that it shares. */
export type Cloned = { readonly bytes: number; readonly sharedBytes: number; readonly inodes: number };

/** How many entries are done before others get their turn. */
const SLICE = 64;

/**
 * Fills the missing directory `to` with everything in `from`, whiteouts and opaque markers as they are. What fails
 * (Node's errors, EEXIST when `to` is there) leaves a part, which is the caller's to remove.
 */
export async function cloneTree(from: string, to: string, options: CloneOptions): Promise<Cloned> {
  return await fill([from], to, { ...options, isPlain: true });
}

/** The same with everything in it made over to the group; contents are shared as reflinks, or copied. */
export async function cloneForGroup(from: string, to: string, gid: number): Promise<Cloned> {
  const describe: Describe = (attributes, type) => {
    const { mode } = giveToGroup({ ...attributes, isDirectory: type === "directory" }, gid);
    return { ...attributes, gid, mode };
  };
  return await fill([from], to, { links: "reflink-or-copy", isPlain: true, describe });
}

/** The same with what the layers show together, one over the other: topmost first, and without any marks. */
export async function assembleLayers(
  layers: readonly string[],
  to: string,
  options: CloneOptions,
): Promise<Cloned> {
  return await fill(layers.toReversed(), to, { ...options, isPlain: false });
}

/** `isPlain`: marks are entries like others. */
type Rules = CloneOptions & { readonly isPlain: boolean; readonly describe?: Describe };

async function fill(bottomFirst: readonly string[], to: string, rules: Rules): Promise<Cloned> {
  fs.mkdirSync(to, { mode: 0o700 });
  using target = Directory.open(to);
  const merge = new Merge(target, rules);
  using opened = new DisposableStack();
  const sources = bottomFirst.map((from) => opened.use(Directory.open(from)));
  // Beneath what is whole nothing shows.
  const lowest = Math.max(0, sources.findLastIndex(isWhole));
  for (const source of sources.slice(lowest)) await merge.add(source);
  return merge.cloned;
}

class Merge {
  readonly #target: Directory;
  readonly #rules: Rules;
  /** Where the first name of an inode with several went, so that they stay one. */
  readonly #names = new Map<string, string>();
  /** Of what is added now. */
  #isPlain = false;
  #bytes = 4096;
  #sharedBytes = 0;
  #inodes = 1;
  #steps = 0;

  constructor(target: Directory, rules: Rules) {
    this.#target = target;
    this.#rules = rules;
  }

  get cloned(): Cloned {
    return { bytes: this.#bytes, sharedBytes: this.#sharedBytes, inodes: this.#inodes };
  }

  async add(source: Directory): Promise<void> {
    this.#isPlain = this.#rules.isPlain || isWhole(source);
    using from = new Descent(source.enter("."));
    using to = new Descent(this.#target.enter("."));
    this.#names.clear();
    const lists = [from.current.list()];
    while (lists.length > 0) {
      if (++this.#steps % SLICE === 0) await setImmediate();
      const name = lists.at(-1)?.pop();
      if (name !== undefined) {
        if (await this.#take(from, to, name)) lists.push(from.current.list());
        continue;
      }
      this.#describe(from.current, to.current);
      lists.pop();
      if (lists.length === 0) break;
      from.ascend();
      to.ascend();
    }
  }

  /** True when it is a directory, in which both are then. */
  async #take(from: Descent, to: Descent, name: Name): Promise<boolean> {
    const status = from.current.status(name);
    if (!this.#isPlain && isWhiteout({ directory: from.current, name }, status)) {
      removeTreeNow(to.current, name);
      return false;
    }
    if (status.type !== "directory") {
      removeTreeNow(to.current, name);
      await this.#copy({ directory: from.current, name }, to, status);
      return false;
    }
    from.descend(name);
    const replaces = !this.#isPlain && isOpaque(from.current);
    if (replaces || to.current.find(name)?.type !== "directory") {
      removeTreeNow(to.current, name);
      to.current.makeDirectory(name, 0o700);
      this.#count(4096);
    }
    to.descend(name);
    return true;
  }

  async #copy(from: Place, to: Descent, status: EntryStatus): Promise<void> {
    const { name } = from;
    if (status.type === "socket") return;
    if (this.#rules.links === "hardlink" && tryLink(to.current, name, from)) return;
    if (status.links > 1 && this.#linkAgain(to, name, status)) return;
    const isShared = await copyEntry(from, status, { directory: to.current, name }, this.#rules.describe);
    this.#count(status.blocks * 512);
    if (isShared) this.#sharedBytes += status.blocks * 512;
  }

  /** Whether it is another name of something copied already; else what is copied now will be that. */
  #linkAgain(to: Descent, name: Name, { inode }: EntryStatus): boolean {
    const first = this.#names.get(inode);
    const path = to.path === "" ? name : `${to.path}/${name}`;
    if (first === undefined) this.#names.set(inode, path);
    if (first === undefined) return false;
    using descent = new Descent(this.#target.enter("."));
    const components = first.split("/");
    for (const component of components.slice(0, -1)) descent.descend(component);
    return tryLink(to.current, name, { directory: descent.current, name: components.at(-1) ?? "" });
  }

  #describe(from: Directory, to: Directory): void {
    const own = readAttributes(from, ".", from.ownStatus());
    const attributes = this.#rules.describe?.(own, "directory") ?? own;
    const marks = (this.#rules.isPlain ? [OPAQUE_XATTR, WHOLE_XATTR] : []).flatMap((key) => {
      const value = readXattr({ directory: from, name: "." }, key);
      return value === undefined ? [] : [[key, value] as const];
    });
    replaceOnDirectory(to, { ...attributes, xattrs: [...attributes.xattrs, ...marks] });
  }

  #count(bytes: number): void {
    this.#bytes += bytes;
    this.#inodes++;
  }
}

/** False where the file system, or the number of names a file may have, does not allow it. */
function tryLink(to: Directory, name: Name, from: Place): boolean {
  try {
    to.makeLink(name, from.directory, from.name);
    return true;
  } catch (error) {
    if (["EXDEV", "EMLINK", "EPERM"].includes((error as NodeJS.ErrnoException).code ?? "")) return false;
    throw error;
  }
}
