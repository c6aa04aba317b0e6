// Settles an unpacked layer over those beneath it: what it left unsaid, they say.
import { setImmediate } from "node:timers/promises";
import { Failure } from "../core/failure.ts";
import { Directory, type Name, setFileTime } from "../host/directory.ts";
import { removeTreeNow } from "../host/remove-tree.ts";
import { removeXattr, writeXattr } from "../host/xattrs.ts";
import { IMPLIED, readAttributes, replaceOnDirectory } from "./attributes.ts";
import { Beneath } from "./beneath.ts";
import { copyEntry } from "./copy-entry.ts";
import { showName } from "./entry-name.ts";
import { toEntryFailure } from "./errno.ts";
import { type Found, lookUp } from "./look-up.ts";
import { MergedDescent } from "./merged-descent.ts";
import { isWhiteout, OPAQUE_XATTR, OPAQUE_YES } from "./overlay-marks.ts";
import type { Unsettled } from "./unpacker.ts";

/** How many questions are asked before others get their turn. */
const SLICE = 32;

/**
 * Directories that nobody described look as they do beneath, hardlinks into the layers beneath are copies (reflinks
 * where they can be) of what is there, and whiteouts and opaque markers stand where they hide something and nowhere
 * else. `below` is topmost first. Repeating is safe, over other layers too. Failures: invalid, full, unavailable.
 */
export async function settleLayer(
  directory: string,
  below: readonly string[],
  unsettled: Unsettled,
): Promise<void> {
  using settling = new Settling(directory, below, new Set(unsettled.opaques));
  for (const { path, target } of unsettled.links)
    await settling.step(path, () => settling.link(path, target));
  for (const path of unsettled.whiteouts) await settling.step(path, () => settling.hide(path));
  for (const path of unsettled.opaques) await settling.step(path, () => settling.cover(path));
  if (unsettled.opaques.includes("")) await settling.step("", () => settling.coverRoot(below));
  // Last, since what happens in a directory changes its times.
  for (const path of unsettled.implied) await settling.step(path, () => settling.describe(path));
}

class Settling implements Disposable {
  readonly #layer: Directory;
  readonly #beneath: Beneath;
  readonly #opaques: ReadonlySet<string>;
  readonly #copies = new Map<string, string>();
  #steps = 0;

  constructor(directory: string, below: readonly string[], opaques: ReadonlySet<string>) {
    this.#opaques = opaques;
    using opened = new DisposableStack();
    this.#layer = opened.use(Directory.open(directory));
    this.#beneath = new Beneath(below);
    opened.move();
  }

  [Symbol.dispose](): void {
    this.#layer[Symbol.dispose]();
    this.#beneath[Symbol.dispose]();
  }

  async step(path: string, act: () => void | Promise<void>): Promise<void> {
    if (++this.#steps % SLICE === 0) await setImmediate();
    try {
      await act();
    } catch (error) {
      throw inWords(toEntryFailure(error, path));
    }
  }

  async link(path: string, target: string): Promise<void> {
    using place = this.#own(path);
    if (place === undefined) return;
    const { directory, name } = place;
    const { mtime } = directory.ownStatus();
    removeTreeNow(directory, name);
    const own = this.#target(lookUp(this.#layer, split(target)));
    using ownParent = own?.parent;
    if (own !== undefined && ownParent !== undefined) directory.makeLink(name, ownParent, own.name);
    else await this.#copy(place, target);
    setFileTime(directory.fd, mtime);
  }

  hide(path: string): void {
    using place = this.#own(path);
    if (place === undefined) return;
    const { directory, name, status } = place;
    const { mtime } = directory.ownStatus();
    const hidden = this.#isBeneath(path);
    if (hidden && status === undefined) directory.makeNode(name, "character", { major: 0, minor: 0 });
    if (!hidden && status !== undefined && isWhiteout(place, status)) directory.removeFile(name);
    setFileTime(directory.fd, mtime);
  }

  cover(path: string): void {
    using directory = this.#directory(path);
    if (directory === undefined) return;
    if (this.#isBeneath(path, "directory")) writeXattr({ directory, name: "." }, OPAQUE_XATTR, OPAQUE_YES);
    else removeXattr({ directory, name: "." }, OPAQUE_XATTR);
  }

  /** Overlays look for no such marker in the root of a layer: what is beneath is hidden there name by name. */
  coverRoot(below: readonly string[]): void {
    const directory = this.#layer;
    const { mtime } = directory.ownStatus();
    using beneath = new MergedDescent(below);
    for (const name of beneath.list()) {
      const own = directory.find(name)?.type;
      if (own === undefined) directory.makeNode(name, "character", { major: 0, minor: 0 });
      else if (own === "directory" && beneath.find(name)?.status.type === own) markOpaque(directory, name);
    }
    removeXattr({ directory, name: "." }, OPAQUE_XATTR);
    setFileTime(directory.fd, mtime);
  }

  describe(path: string): void {
    using directory = this.#directory(path);
    if (directory === undefined) return;
    const found = this.#find(path);
    using parent = found?.parent;
    const isDescribed = found?.status.type === "directory" && parent !== undefined;
    replaceOnDirectory(directory, isDescribed ? readAttributes(parent, found.name, found.status) : IMPLIED);
  }

  /** Two links to one file beneath are two names of one file here, once the first has been copied. */
  async #copy(place: Own, target: string): Promise<void> {
    const found = this.#find(target);
    using parent = found?.parent;
    if (found === undefined || parent === undefined || found.status.type === "directory")
      throw new Failure(
        "invalid",
        `its entry ${showName(place.path)} is a hardlink to ${showName(target)}, which no layer beneath has as a file; build the image again`,
      );
    const first = this.#copies.get(target);
    using earlier = first === undefined ? undefined : this.#own(first);
    if (earlier !== undefined) place.directory.makeLink(place.name, earlier.directory, earlier.name);
    else await copyEntry({ directory: parent, name: found.name }, found.status, place);
    this.#copies.set(target, place.path);
  }

  #target(found: ReturnType<typeof lookUp>): Found | undefined {
    if (found.kind !== "found") return undefined;
    const place = { directory: found.parent, name: found.name };
    if (found.status.type !== "directory" && !isWhiteout(place, found.status)) return found;
    found.parent[Symbol.dispose]();
    return undefined;
  }

  #isBeneath(path: string, type?: "directory"): boolean {
    const found = this.#find(path);
    found?.parent[Symbol.dispose]();
    return found !== undefined && (type === undefined || found.status.type === type);
  }

  /** Nothing where a directory of this layer hides all that is beneath it. */
  #find(path: string): Found | undefined {
    const components = split(path);
    const covered = components.some((_, at) => this.#opaques.has(components.slice(0, at).join("/")));
    return covered ? undefined : this.#beneath.find(components);
  }

  #own(path: string): Own | undefined {
    const components = split(path);
    const directory = this.#directory(components.slice(0, -1).join("/"));
    if (directory === undefined) return undefined;
    const found = lookUp(directory, components.slice(-1));
    if (found.kind === "found") found.parent[Symbol.dispose]();
    const status = found.kind === "found" ? found.status : undefined;
    return {
      path,
      directory,
      name: components.at(-1) ?? ".",
      status,
      [Symbol.dispose]: () => directory[Symbol.dispose](),
    };
  }

  #directory(path: string): Directory | undefined {
    const found = lookUp(this.#layer, split(path));
    if (found.kind !== "found") return undefined;
    using parent = found.parent;
    return found.status.type === "directory" ? parent.enter(found.name) : undefined;
  }
}

function markOpaque(parent: Directory, name: Name): void {
  using directory = parent.enter(name);
  writeXattr({ directory, name: "." }, OPAQUE_XATTR, OPAQUE_YES);
}

type Own = Disposable & {
  readonly path: string;
  readonly directory: Directory;
  readonly name: Name;
  readonly status: Found["status"] | undefined;
};

function split(path: string): Name[] {
  return path === "" ? [] : path.split("/");
}

function inWords(error: unknown): unknown {
  if (!(error instanceof Failure)) return error;
  return new Failure(error.reason, `Cannot settle a layer over those beneath it: ${error.message}`, {
    cause: error,
  });
}
