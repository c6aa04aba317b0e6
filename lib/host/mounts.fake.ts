// Mounts in memory, over the directories of a real disk or any other idea of what is at a path.
import { Failure } from "../core/failure.ts";
import type { MountEntry } from "../core/mountinfo.ts";
import {
  type BindRequest,
  type MountFlags,
  type Mounts,
  type OverlayRequest,
  overlaySource,
  requireExact,
  requireLayers,
} from "./mounts.ts";

/** What is at a path, its last name not followed; `real` is the path without symlinks above that. */
export type Place = { readonly kind: "directory" | "file" | "symlink"; readonly real: string };

/** By itself, every path is a directory. */
export class MemoryMounts implements Mounts {
  readonly #held = new Set<string>();
  readonly #place: (path: string) => Place | undefined;
  #entries: readonly MountEntry[] = [];
  #nextId = 1000;

  constructor(place: (path: string) => Place | undefined = (path) => ({ kind: "directory", real: path })) {
    this.#place = place;
  }

  async bind({ source, target, flags }: BindRequest): Promise<void> {
    const attempt = `Cannot mount "${source}" at "${target}"`;
    requireExact(target);
    const [from, to] = [this.#exists(source, attempt), this.#exists(target, attempt)];
    if (to.kind === "symlink") throw new Failure("conflict", `${attempt}: it is a symbolic link`);
    if (from.kind !== to.kind)
      throw new Failure("unsupported", `${attempt}: one is a directory, the other is not`);
    // What is mounted at the source is what shows.
    const {
      type,
      root,
      source: device,
      options,
    } = this.#at(source).at(-1) ?? { type: "memory", root: source, source: "memory", options: "" };
    this.#push(to.real, flags, { type, root, source: device, options });
  }

  async overlay(request: OverlayRequest): Promise<void> {
    const attempt = `Cannot mount an overlay at "${request.target}"`;
    requireExact(request.target);
    const to = this.#exists(request.target, attempt);
    if (to.kind === "symlink") throw new Failure("conflict", `${attempt}: it is a symbolic link`);
    const { upper, work } = request;
    const ends = upper === undefined || work === undefined ? [] : [upper, work];
    for (const directory of [...request.lower, ...ends]) this.#exists(directory, attempt);
    requireLayers(request);
    const options = [
      ...request.lower.map((layer) => `lowerdir+=${layer}`),
      ...(ends.length === 0 ? [] : [`upperdir=${upper}`, `workdir=${work}`]),
    ];
    this.#push(to.real, request.flags, {
      type: "overlay",
      root: "/",
      source: overlaySource,
      options: options.join(","),
    });
  }

  async unmount(target: string): Promise<boolean> {
    requireExact(target);
    const top = this.#at(target).at(-1);
    if (top === undefined) return false;
    if (this.#held.has(top.target))
      throw new Failure("in-use", `Cannot unmount "${target}": it is held open`);
    this.#entries = this.#entries.filter(({ id }) => id !== top.id);
    return true;
  }

  async at(target: string): Promise<readonly MountEntry[]> {
    requireExact(target);
    return this.#at(target);
  }

  async list(): Promise<readonly MountEntry[]> {
    return this.#entries;
  }

  /** Keeps what is at this path busy until it is disposed of. */
  hold(target: string): Disposable {
    const real = this.#place(target)?.real ?? target;
    this.#held.add(real);
    return { [Symbol.dispose]: () => this.#held.delete(real) };
  }

  /** What a restart of the node does. */
  forget(): void {
    this.#entries = [];
  }

  #at(target: string): readonly MountEntry[] {
    const real = this.#place(target)?.real ?? target;
    return this.#entries.filter((entry) => entry.target === real);
  }

  #exists(path: string, attempt: string): Place {
    const place = this.#place(path);
    if (place === undefined) throw new Failure("not-found", `${attempt}: "${path}" does not exist`);
    return place;
  }

  #push(
    target: string,
    flags: MountFlags,
    shown: Pick<MountEntry, "type" | "root" | "source" | "options">,
  ): void {
    const below = this.#entries.findLast((entry) => entry.target === target);
    const place = { id: this.#nextId++, parent: below?.id ?? 1, device: "0:1", target };
    this.#entries = [...this.#entries, { ...place, ...flags, ...shown, vanished: false, shared: false }];
  }
}
