// Moves through the layer that is being filled, and gives each directory its attributes when it is left.
import { Descent } from "../host/descent.ts";
import { type Directory, type Name, setFileTime } from "../host/directory.ts";
import type { EntryStatus, Time } from "../host/entry-status.ts";
import { type Attributes, applyToDirectory } from "./attributes.ts";

/** `given` is applied on leaving; without it the directory keeps what it had `before` something was put into it. */
type Visit = { given?: Attributes; before: EntryStatus };

/** What happens in a directory changes its times, so those are set last: on leaving, however often it is entered. */
export class PathCursor implements Disposable {
  readonly #descent: Descent;
  readonly #visits: Visit[];

  constructor(start: Directory) {
    this.#descent = new Descent(start);
    this.#visits = [{ before: start.ownStatus() }];
  }

  get current(): Directory {
    return this.#descent.current;
  }

  /** Whether what is made here gets the directory's group instead of ours. */
  get handsDownGroup(): boolean {
    return ((this.#visits.at(-1)?.before.mode ?? 0) & 0o2000) !== 0;
  }

  /** Up to where `components` branches off; answers how many of them lead there. */
  leaveTo(components: readonly Name[]): number {
    let shared = 0;
    while (
      shared < Math.min(components.length, this.#descent.depth) &&
      this.#descent.nameAt(shared + 1) === components[shared]
    )
      shared++;
    while (this.#descent.depth > shared) this.#leave();
    return shared;
  }

  /** ENOENT, ENOTDIR or ELOOP, and nothing moved, when it cannot be entered. */
  enter(name: Name): void {
    const directory = this.#descent.descend(name);
    this.#visits.push({ before: directory.ownStatus() });
  }

  /** To the directory it is in, on leaving. */
  give(attributes: Attributes): void {
    const visit = this.#visits.at(-1);
    if (visit !== undefined) visit.given = attributes;
  }

  /** The time that the directory it is in, without attributes of its own, has on leaving. */
  setTime(mtime: Time): void {
    const visit = this.#visits.at(-1);
    if (visit !== undefined) visit.before = { ...visit.before, mtime };
  }

  /** Leaves everything, the start included. */
  close(): void {
    while (this.#descent.depth > 0) this.#leave();
    this.#settle();
  }

  [Symbol.dispose](): void {
    this.#descent[Symbol.dispose]();
  }

  #leave(): void {
    this.#settle();
    this.#descent.ascend();
    this.#visits.pop();
  }

  #settle(): void {
    const visit = this.#visits.at(-1);
    if (visit?.given !== undefined) applyToDirectory(this.current, visit.given);
    else if (visit !== undefined) setFileTime(this.current.fd, visit.before.mtime);
  }
}
