// Fills a directory with the entries of an archive, whatever the archive says never outside of it.
import { Directory, type Name } from "../host/directory.ts";
import { removeTreeNow } from "../host/remove-tree.ts";
import { writeXattr } from "../host/xattrs.ts";
import { applyToEntry, IMPLIED } from "./attributes.ts";
import { entryFailure, showName, splitName } from "./entry-name.ts";
import { checkEntry, keptAttributes, meaningOf, type Rules } from "./entry-rules.ts";
import { toEntryFailure } from "./errno.ts";
import { FileWriter } from "./file-writer.ts";
import { findTarget } from "./hardlink-target.ts";
import { LayerNotes } from "./layer-notes.ts";
import { isWhiteout, OPAQUE_XATTR, OPAQUE_YES } from "./overlay-marks.ts";
import { PathCursor } from "./path-cursor.ts";
import type { TarEntry } from "./tar-entry.ts";
import type { TarSink } from "./tar-reader.ts";
import type { Unpacked } from "./unpacker.ts";

/** What an entry costs beside its content: its inode and its name in the directory. */
const INODE_BYTES = 1024;
const BLOCK_BYTES = 4096;

/** Failures of its methods: invalid, full, unavailable. Not to be used after one. */
export class LayerWriter implements TarSink, Disposable {
  readonly #root: Directory;
  readonly #cursor: PathCursor;
  readonly #rules: Rules;
  readonly #notes = new LayerNotes();
  readonly #files = new FileWriter();
  #name = "";
  #bytes = 0;
  #inodes = 1;

  constructor(directory: string, rules: Rules) {
    using opened = new DisposableStack();
    this.#root = opened.use(Directory.open(directory));
    this.#cursor = new PathCursor(opened.use(this.#root.enter(".")));
    opened.move();
    this.#rules = rules;
    this.#cursor.give(IMPLIED);
    this.#notes.implied.add("");
  }

  /** What was put on the disk so far; what entries replaced counts on. */
  get bytes(): number {
    return this.#bytes;
  }

  begin(entry: TarEntry): void {
    this.#name = entry.name;
    this.#translated(() => this.#begin(entry));
  }

  write(bytes: Buffer, position: number): void {
    this.#bytes += bytes.length;
    this.#translated(() => this.#files.write(bytes, position));
  }

  finish(): void {
    this.#translated(() => this.#files.finish());
  }

  /** After the last entry. */
  close(): Unpacked {
    this.#translated(() => {
      if (this.#rules.kind === "archive") this.#refuseOpenLinks();
      this.#cursor.close();
    });
    return { bytes: this.#bytes, inodes: this.#inodes, unsettled: this.#notes.toUnsettled() };
  }

  [Symbol.dispose](): void {
    this.#files[Symbol.dispose]();
    this.#cursor[Symbol.dispose]();
    this.#root[Symbol.dispose]();
  }

  #begin(entry: TarEntry): void {
    const components = splitName(entry.name, this.#rules.kind === "image" ? "allowed" : "refused");
    const meaning = meaningOf(components, this.#rules);
    if (meaning.kind === "nothing") return;
    checkEntry(entry, components, this.#rules);
    const parents = components.slice(0, -1);
    if (meaning.kind === "whiteout") this.#hide([...parents, meaning.hidden]);
    else if (meaning.kind === "opaque") {
      this.#moveTo(parents);
      this.#markOpaque(parents.join("/"));
    } else if (entry.type === "directory") {
      this.#moveTo(components, "replace the last");
      this.#notes.implied.delete(components.join("/"));
      this.#cursor.give(keptAttributes(entry, this.#rules));
    } else {
      this.#moveTo(parents);
      if (entry.type === "link") this.#link(entry, components);
      else this.#make(entry, components);
    }
  }

  #make(entry: TarEntry, components: readonly Name[]): void {
    const directory = this.#cursor.current;
    const name = nameOf(components);
    const kept = keptAttributes(entry, this.#rules);
    const { handsDownGroup } = this.#cursor;
    if (this.#notes.links.size > 0) this.#notes.links.delete(components.join("/"));
    this.#count(BLOCK_BYTES);
    this.#replacing(components, () => {
      if (entry.type === "file")
        this.#files.begin(directory, name, { size: entry.size, kept, handsDownGroup });
      else if (entry.type === "symlink") directory.makeSymlink(name, entry.target);
      else directory.makeNode(name, entry.type as "fifo" | "character" | "block", entry.device);
    });
    if (entry.type !== "file") applyToEntry(directory, name, kept);
  }

  /** Into a directory of this layer, which is made where it is missing. */
  #moveTo(components: readonly Name[], last?: "replace the last"): void {
    for (let at = this.#cursor.leaveTo(components); at < components.length; at++) {
      try {
        this.#cursor.enter(components[at] ?? "");
      } catch (error) {
        const mayReplace = last !== undefined && at === components.length - 1;
        this.#makeWay(error as NodeJS.ErrnoException, components.slice(0, at + 1), mayReplace);
      }
    }
  }

  #makeWay(error: NodeJS.ErrnoException, components: readonly Name[], mayReplace: boolean): void {
    if (!["ENOENT", "ENOTDIR", "ELOOP"].includes(error.code ?? "")) throw error;
    const directory = this.#cursor.current;
    const [name, path] = [nameOf(components), components.join("/")];
    const found = error.code === "ENOENT" ? undefined : directory.status(name);
    const wasHidden = found !== undefined && isWhiteout({ directory, name }, found);
    // Only its own entry may turn a file into a directory, not one that merely claims to lie beneath it.
    if (found !== undefined && !wasHidden && !mayReplace)
      throw entryFailure(
        this.#name,
        `leads through ${showName(path)}, which is a ${found.type}; pack it again`,
      );
    if (found !== undefined) this.#remove(components);
    this.#notes.links.delete(path);
    directory.makeDirectory(name, 0o700);
    this.#count(BLOCK_BYTES);
    this.#cursor.enter(name);
    this.#cursor.give(IMPLIED);
    this.#notes.implied.add(path);
    if (wasHidden) this.#markOpaque(path);
  }

  #markOpaque(path: string): void {
    writeXattr({ directory: this.#cursor.current, name: "." }, OPAQUE_XATTR, OPAQUE_YES);
    this.#notes.opaques.add(path);
  }

  /** What this layer holds itself is not hidden, wherever in the archive it stands. */
  #hide(components: readonly Name[]): void {
    const [name, path] = [nameOf(components), components.join("/")];
    this.#moveTo(components.slice(0, -1));
    if (this.#notes.links.has(path)) return;
    try {
      this.#cursor.current.makeNode(name, "character", { major: 0, minor: 0 });
      this.#notes.whiteouts.add(path);
      this.#count(0);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
      if (this.#cursor.current.status(name).type !== "directory") return;
      this.#moveTo(components);
      this.#markOpaque(path);
    }
  }

  #link(entry: TarEntry, components: readonly Name[]): void {
    const target = splitName(entry.target, this.#rules.kind === "image" ? "allowed" : "refused");
    const [path, targetPath] = [components.join("/"), target.join("/")];
    const found = findTarget(this.#root, entry, target);
    using parent = found?.parent;
    if (path === targetPath && found !== undefined) return;
    if (found !== undefined && targetPath.startsWith(`${path}/`))
      throw entryFailure(entry.name, "is a hardlink to something beneath itself; pack it again");
    this.#count(0);
    if (found === undefined || parent === undefined) {
      this.#remove(components);
      this.#notes.links.set(path, targetPath);
      return;
    }
    this.#notes.links.delete(path);
    this.#replacing(components, () => this.#cursor.current.makeLink(nameOf(components), parent, found.name));
  }

  /** What an archive says last of a name is what holds. */
  #replacing(components: readonly Name[], make: () => void): void {
    try {
      make();
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
      this.#remove(components);
      make();
    }
  }

  #remove(components: readonly Name[]): void {
    removeTreeNow(this.#cursor.current, nameOf(components));
    this.#notes.forget(components.join("/"));
  }

  #refuseOpenLinks(): void {
    for (const [path, target] of this.#notes.links)
      throw entryFailure(
        path,
        `is a hardlink to ${showName(target)}, which is not in the archive; pack it again`,
      );
  }

  #count(bytes: number): void {
    this.#bytes += INODE_BYTES + bytes;
    this.#inodes++;
  }

  #translated(act: () => void): void {
    try {
      act();
    } catch (error) {
      throw toEntryFailure(error, this.#name);
    }
  }
}

function nameOf(components: readonly Name[]): Name {
  return components.at(-1) ?? "";
}
