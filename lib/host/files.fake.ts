// Files in memory, with a disk that can be full and a power that can fail.
import path from "node:path";
import { Failure, type Reason } from "../core/failure.ts";
import { type FileKind, type Files, type FilesystemRoom, isLeftover, leftoverOf } from "./files.ts";

type Node = { readonly kind: FileKind; readonly bytes: Uint8Array; readonly touchedMs: number };

const firstBoot = "00000000-0000-4000-8000-000000000000";

export class MemoryFiles implements Files {
  /** Every path that is there, of what is written so far and of what a power loss would leave. */
  #nodes = new Map<string, Node>();
  #durable = new Map<string, Node>();
  #boots = 0;
  readonly #now: () => number;
  /** Set by tests: what the next calls are told about the disk. */
  room: FilesystemRoom = {
    bytesTotal: 2 ** 40,
    bytesFree: 2 ** 39,
    inodesTotal: 2 ** 20,
    inodesFree: 2 ** 19,
    type: 0xef53,
  };

  constructor(now: () => number = () => 0) {
    this.#now = now;
    for (const nodes of [this.#nodes, this.#durable]) nodes.set("/", directory(0));
  }

  async read(file: string): Promise<Uint8Array> {
    const node = this.#require(file, `Cannot read "${file}"`);
    if (node.kind === "directory") throw refuse("conflict", `Cannot read "${file}"`, "it is a directory");
    return node.bytes.slice();
  }

  async list(at: string): ReturnType<Files["list"]> {
    return this.#children(at, `Cannot list "${at}"`)
      .map((name) => ({ name, kind: this.#nodes.get(path.join(at, name))?.kind ?? "other" }))
      .filter(({ name }) => !isLeftover(name))
      .sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  async writeAtomically(
    file: string,
    bytes: Uint8Array,
    options: { readonly durable: boolean },
  ): Promise<void> {
    const attempt = `Cannot write "${file}"`;
    this.#children(path.dirname(file), attempt);
    if (this.room.bytesFree < bytes.length) throw refuse("full", attempt, "the file system is full");
    if (this.#nodes.get(file)?.kind === "directory") throw refuse("conflict", attempt, "it is a directory");
    this.#nodes.set(file, { kind: "file", bytes: Uint8Array.from(bytes), touchedMs: this.#now() });
    this.#nodes.delete(path.join(path.dirname(file), leftoverOf(path.basename(file))));
    if (options.durable) await this.syncDirectory(path.dirname(file));
  }

  async rename(from: string, to: string): Promise<void> {
    const attempt = `Cannot rename "${from}" to "${to}"`;
    const node = this.#require(from, attempt);
    this.#children(path.dirname(to), attempt);
    const there = this.#nodes.get(to);
    const taken = there?.kind === "directory" && this.#within(to).length > 0;
    if (taken || (there !== undefined && (there.kind === "directory") !== (node.kind === "directory")))
      throw refuse("conflict", attempt, "something stands there");
    const moved = [from, ...this.#within(from)].map((at) => [at, this.#nodes.get(at)] as const);
    for (const [at] of moved) this.#nodes.delete(at);
    for (const [at, held] of moved) if (held !== undefined) this.#nodes.set(to + at.slice(from.length), held);
  }

  async makeDirectory(at: string): Promise<void> {
    const above = path.dirname(at);
    if (above !== at) await this.makeDirectory(above);
    const there = this.#nodes.get(at);
    if (there === undefined) this.#nodes.set(at, directory(this.#now()));
    else if (there.kind !== "directory")
      throw refuse("conflict", `Cannot make the directory "${at}"`, "a file stands there");
  }

  async removeFile(file: string): Promise<boolean> {
    const node = this.#nodes.get(file);
    if (node?.kind === "directory") throw refuse("conflict", `Cannot remove "${file}"`, "it is a directory");
    return this.#nodes.delete(file);
  }

  async removeEmptyDirectory(at: string): Promise<boolean> {
    const node = this.#nodes.get(at);
    if (node === undefined) return false;
    if (node.kind !== "directory" || this.#within(at).length > 0)
      throw refuse("conflict", `Cannot remove the directory "${at}"`, "it is not an empty directory");
    return this.#nodes.delete(at);
  }

  async syncDirectory(at: string): Promise<void> {
    const names = this.#children(at, `Cannot sync the directory "${at}"`);
    this.#durable.set(at, this.#require(at, "Cannot sync"));
    const gone = [...this.#durable.keys()].filter(
      (each) => path.dirname(each) === at && !this.#nodes.has(each),
    );
    for (const each of gone)
      for (const under of this.#durable.keys()) if (isUnder(under, each)) this.#durable.delete(under);
    for (const name of names)
      this.#durable.set(path.join(at, name), this.#require(path.join(at, name), "Cannot sync"));
  }

  async syncFilesystem(at: string): Promise<void> {
    this.#require(at, `Cannot sync the file system of "${at}"`);
    this.#durable = new Map(this.#nodes);
  }

  async statFilesystem(at: string): Promise<FilesystemRoom> {
    this.#require(at, `Cannot ask for the room at "${at}"`);
    return this.room;
  }

  async touch(file: string, timeMs: number): Promise<void> {
    this.#nodes.set(file, { ...this.#require(file, `Cannot touch "${file}"`), touchedMs: timeMs });
  }

  async readTouched(file: string): Promise<number> {
    return this.#require(file, `Cannot ask when "${file}" changed`).touchedMs;
  }

  async removeLeftovers(at: string): Promise<void> {
    const names = this.#children(at, `Cannot tidy "${at}"`);
    for (const name of names.filter(isLeftover)) this.#nodes.delete(path.join(at, name));
  }

  bootId(): string {
    return firstBoot.slice(0, -6) + String(this.#boots).padStart(6, "0");
  }

  /** The power fails and comes back: what was not synced is gone, and it is another boot. */
  losePower(): void {
    this.#nodes = new Map(this.#durable);
    this.#boots++;
  }

  /** Leaves what a write that died before its rename leaves. */
  leaveWriteOf(file: string): void {
    const fresh = path.join(path.dirname(file), leftoverOf(path.basename(file)));
    this.#nodes.set(fresh, { kind: "file", bytes: Buffer.from("half"), touchedMs: this.#now() });
  }

  #require(at: string, attempt: string): Node {
    const node = this.#nodes.get(at);
    if (node !== undefined) return node;
    const above = path.dirname(at);
    const underFile = above !== at && (this.#nodes.get(above)?.kind ?? "directory") !== "directory";
    throw underFile
      ? refuse("conflict", attempt, "a file is above it")
      : refuse("not-found", attempt, "it does not exist");
  }

  #children(at: string, attempt: string): string[] {
    if (this.#require(at, attempt).kind !== "directory")
      throw refuse("conflict", attempt, "it is not a directory");
    return [...this.#nodes.keys()]
      .filter((each) => each !== "/" && path.dirname(each) === at)
      .map((each) => path.basename(each));
  }

  #within(at: string): string[] {
    return [...this.#nodes.keys()].filter((each) => each !== at && isUnder(each, at));
  }
}

function isUnder(at: string, above: string): boolean {
  return at === above || at.startsWith(above === "/" ? "/" : `${above}/`);
}

function directory(touchedMs: number): Node {
  return { kind: "directory", bytes: new Uint8Array(), touchedMs };
}

function refuse(reason: Reason, attempt: string, why: string): Failure {
  return new Failure(reason, `${attempt}: ${why}`);
}
