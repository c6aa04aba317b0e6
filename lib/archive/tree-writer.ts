// Writes the entries of a tree into archives, each with the directories that lead to it.
import fs from "node:fs";
import type { Name } from "../host/directory.ts";
import type { EntryStatus } from "../host/entry-status.ts";
import type { Attributes } from "./attributes.ts";
import type { Place } from "./copy-entry.ts";
import { findPieces } from "./data-pieces.ts";
import { WHITEOUT } from "./entry-name.ts";
import { OPAQUE } from "./entry-rules.ts";
import { type LeftOutNotes, XATTRS_NOTE } from "./left-out.ts";
import { DEVICE_XATTR, isZeroDevice, YES } from "./overlay-marks.ts";
import { packFailure } from "./pack-failure.ts";
import type { PackedParts, PackOutput } from "./packed-parts.ts";
import type { Piece } from "./sparse.ts";
import type { TarEntry } from "./tar-entry.ts";
import { formatEntry, LARGEST_PAX } from "./tar-format.ts";

/** Its directory is where the writer is. */
export type PackedEntry = Place & { readonly status: EntryStatus; readonly attributes: Attributes };

type Level = {
  readonly attributes: Attributes;
  readonly pathLength: number;
  /** The part that has its entry. */
  announcedIn: number | undefined;
};

const NO_DEVICE = { major: 0, minor: 0 };
/** Marks say nothing but their name. */
const MARK: Attributes = { mode: 0o600, uid: 0, gid: 0, mtime: { seconds: 0, nanoseconds: 0 }, xattrs: [] };

export class TreeWriter {
  readonly #parts: PackedParts;
  readonly #linksInRoot: boolean;
  readonly #leftOut: LeftOutNotes;
  readonly #levels: Level[] = [];
  readonly #links = new Map<string, { readonly path: string; left: number }>();
  /** Of the directory it is in, with its slash; nothing for the root. */
  #path = "";
  #entries = 0;
  #bytes = 0;

  constructor(
    parts: PackedParts,
    { linksInRoot = false }: Pick<PackOutput, "linksInRoot">,
    leftOut: LeftOutNotes,
  ) {
    this.#parts = parts;
    this.#linksInRoot = linksInRoot;
    this.#leftOut = leftOut;
  }

  get entries(): number {
    return this.#entries;
  }

  /** Of files, without holes. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Of an entry here; latin1 text. */
  pathOf(name: Name): string {
    return `${this.#path}${name}`;
  }

  /** Without the slash; "" is the root. */
  get path(): string {
    return this.#path.slice(0, -1);
  }

  /** Whether this directory is in the archive. */
  get isAnnounced(): boolean {
    return this.#levels.at(-1)?.announcedIn !== undefined;
  }

  /** Into the root, or the directory `name`, which comes into the archive with the first entry in it. */
  enter(name: Name, attributes: Attributes): void {
    if (this.#levels.length > 0) this.#path += `${name}/`;
    this.#levels.push({ attributes, pathLength: this.#path.length, announcedIn: undefined });
  }

  leave(): void {
    this.#levels.pop();
    this.#path = this.#path.slice(0, this.#levels.at(-1)?.pathLength ?? 0);
  }

  /** The directory itself comes into the archive, whatever is in it. */
  async announce(): Promise<void> {
    await this.#begin(0);
  }

  async add(entry: PackedEntry): Promise<void> {
    const { status, name } = entry;
    const first = status.links > 1 ? this.#linkTo(status, this.pathOf(name)) : undefined;
    if (first !== undefined) await this.#put(entry, { type: "link", target: first });
    else if (status.type === "file") await this.#addFile(entry);
    else if (status.type === "symlink")
      await this.#put(entry, { type: "symlink", target: entry.directory.readLink(name) });
    else if (status.type === "fifo") await this.#put(entry, { type: "fifo", target: "" });
    else if (status.type === "character" || status.type === "block")
      await this.#addDevice(entry, status.type);
    else throw new Error(`a ${status.type} is not packed as an entry`);
  }

  /** One that would be taken for a whiteout says what it is. */
  async #addDevice(entry: PackedEntry, type: "character" | "block"): Promise<void> {
    const { status, attributes } = entry;
    const mark = isZeroDevice(status) ? [[DEVICE_XATTR, YES] as const] : [];
    const marked = { ...attributes, xattrs: [...attributes.xattrs, ...mark] };
    await this.#put({ ...entry, attributes: marked }, { type, target: "", device: status.device });
  }

  /** What lies beneath by that name is taken away. */
  async hide(name: Name): Promise<void> {
    await this.#mark(`${WHITEOUT}${name}`);
  }

  /** All that lies beneath this directory is taken away. */
  async cover(): Promise<void> {
    await this.#mark(OPAQUE);
  }

  async #mark(name: Name): Promise<void> {
    await this.#write(toEntry(this.pathOf(name), { type: "file", attributes: MARK }));
  }

  async #put(
    entry: PackedEntry,
    what: Pick<TarEntry, "type" | "target"> & Partial<Pick<TarEntry, "device">>,
  ): Promise<void> {
    if (what.type !== "link") this.#noteXattrs(this.pathOf(entry.name), entry.attributes);
    await this.#write({
      ...toEntry(this.pathOf(entry.name), { ...what, attributes: entry.attributes }),
      ...what,
    });
  }

  async #addFile(entry: PackedEntry): Promise<void> {
    const { directory, name, status, attributes } = entry;
    const path = this.pathOf(name);
    this.#noteXattrs(path, attributes);
    const made = { ...toEntry(path, { type: "file", attributes }), size: status.size };
    try {
      const fd = directory.openFile(name);
      try {
        await this.#writeFile(made, fd, findPieces(fd, status));
      } finally {
        fs.closeSync(fd);
      }
    } catch (error) {
      throw packFailure(error, path);
    }
  }

  async #writeFile(entry: TarEntry, fd: number, pieces: readonly Piece[] | undefined): Promise<void> {
    const stored = pieces ?? [[0, entry.size] as const];
    const length = stored.reduce((sum, piece) => sum + piece[1], 0);
    await this.#write(entry, { pieces, length });
    for (const [offset, bytes] of stored) await this.#parts.copy(fd, offset, bytes);
    await this.#parts.pad(length);
    this.#bytes += length;
  }

  async #write(
    entry: TarEntry,
    content?: { pieces: readonly Piece[] | undefined; length: number },
  ): Promise<void> {
    const header = formatEntry(entry, content?.pieces);
    await this.#begin(header.length + (content?.length ?? 0));
    await this.#parts.write(header);
    this.#entries++;
  }

  /** Makes room for an entry, and says anew what leads to it where that is not in this part yet. */
  async #begin(bytes: number): Promise<void> {
    await this.#parts.begin(bytes);
    const part = this.#parts.number;
    let from = this.#levels.length;
    while (from > 0 && this.#levels[from - 1]?.announcedIn !== part) from--;
    for (const level of this.#levels.slice(from)) {
      const path = this.#path.slice(0, level.pathLength) || "./";
      if (level.announcedIn === undefined) this.#noteXattrs(path, level.attributes);
      await this.#parts.write(
        formatEntry(toEntry(path, { type: "directory", attributes: level.attributes })),
      );
      level.announcedIn = part;
      this.#entries++;
    }
  }

  #noteXattrs(path: string, { xattrs }: Attributes): void {
    if (!doFit(xattrs)) this.#leftOut.add(path, XATTRS_NOTE);
  }

  /** The first name of the same inode; nothing where this is it, or is to be a file of its own. */
  #linkTo({ inode, links }: EntryStatus, path: string): string | undefined {
    const known = this.#links.get(inode);
    if (known === undefined) {
      this.#links.set(inode, { path, left: links - 1 });
      return undefined;
    }
    if (--known.left === 0) this.#links.delete(inode);
    return this.#linksInRoot && this.#path !== "" ? undefined : known.path;
  }
}

function toEntry(
  name: string,
  { type, attributes }: { readonly type: TarEntry["type"]; readonly attributes: Attributes },
): TarEntry {
  const { mode, uid, gid, mtime } = attributes;
  const xattrs = doFit(attributes.xattrs) ? attributes.xattrs : [];
  return {
    name,
    type,
    target: "",
    mode,
    uid,
    gid,
    size: 0,
    mtime,
    device: NO_DEVICE,
    xattrs: xattrs.map(([key, value]) => [key, Buffer.from(value)] as const),
  };
}

/** An extended header holds the path twice and the attributes; more of these than readers take stay out. */
function doFit(xattrs: Attributes["xattrs"]): boolean {
  const bytes = xattrs.reduce((sum, [key, value]) => sum + key.length + value.length + 64, 0);
  return bytes <= LARGEST_PAX / 2;
}
