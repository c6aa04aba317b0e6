// A way down into a directory tree by descriptors, as deep as it goes, with few of them open.
import type { Directory, Name } from "./directory.ts";

/** How many directories above the current one stay open. */
const KEPT = 32;

type Step = { readonly name: Name; directory: Directory | undefined; inode: string };

/** Starts in a directory that it then owns. Moves one component at a time and never follows anything. */
export class Descent implements Disposable {
  readonly #steps: Step[];

  constructor(start: Directory) {
    this.#steps = [{ name: "", directory: start, inode: "" }];
  }

  /** 0 where it started. */
  get depth(): number {
    return this.#steps.length - 1;
  }

  get current(): Directory {
    const directory = this.#steps.at(-1)?.directory;
    if (directory === undefined) throw new Error("the current directory of a descent is always open");
    return directory;
  }

  /** The component that led to `depth` (1 for the first below the start). */
  nameAt(depth: number): Name | undefined {
    return depth < 1 ? undefined : this.#steps[depth]?.name;
  }

  /** Latin1 text, relative to the start. */
  get path(): string {
    return this.#steps
      .slice(1)
      .map((step) => step.name)
      .join("/");
  }

  /** ENOTDIR or ELOOP, and nothing moved, when `name` is not a directory. */
  descend(name: Name): Directory {
    const directory = this.current.enter(name);
    this.#steps.push({ name, directory, inode: "" });
    const far = this.#steps[this.#steps.length - 1 - KEPT];
    if (far?.directory !== undefined) {
      far.inode = far.directory.ownStatus().inode;
      far.directory[Symbol.dispose]();
      far.directory = undefined;
    }
    return directory;
  }

  ascend(): void {
    const above = this.#steps.at(-2);
    if (above === undefined) throw new Error("a descent cannot leave where it started");
    above.directory ??= this.#reopen(above.inode);
    this.#steps.pop()?.directory?.[Symbol.dispose]();
  }

  [Symbol.dispose](): void {
    for (const step of this.#steps) step.directory?.[Symbol.dispose]();
    this.#steps.length = 0;
  }

  #reopen(inode: string): Directory {
    const parent = this.current.enterParent();
    if (parent.ownStatus().inode === inode) return parent;
    parent[Symbol.dispose]();
    throw new Error(`the directory above "${this.path}" was moved while it was worked on`);
  }
}
