// Where what is trimmed goes: out of the Layer by rename, since a disk may take a millisecond for each file it forgets.
import path from "node:path";
import { Directory, type Name } from "../host/directory.ts";
import { removeTreeNow } from "../host/remove-tree.ts";

/** A rename into it is refused: another file system or project, or an entry that may not move. */
const REFUSED = ["EXDEV", "EPERM", "EMLINK", "EBUSY"];

const PREFIX = "gone-";

/** Whether that is the name of one, in a journal's directory. */
export const isLeavings = (name: string): boolean => name.startsWith(PREFIX);

/** A directory of its own in `parent`, made with the first that is taken; with `parent` it goes. */
export class Leavings implements Disposable {
  readonly #parent: string;
  #directory: Directory | undefined;
  #count = 0;

  constructor(parent: string) {
    this.#parent = parent;
  }

  /** Afterwards `name` is not in `from`, whether or not it was. */
  take(from: Directory, name: Name): void {
    this.#directory ??= this.#open();
    try {
      from.rename(name, this.#directory, `${this.#count}`);
      this.#count++;
    } catch (error) {
      const { code = "" } = error as NodeJS.ErrnoException;
      if (code === "ENOENT") return;
      if (!REFUSED.includes(code)) throw error;
      removeTreeNow(from, name);
    }
  }

  [Symbol.dispose](): void {
    this.#directory?.[Symbol.dispose]();
  }

  /** Not one that an earlier trimming filled. */
  #open(): Directory {
    using parent = Directory.open(this.#parent);
    const taken = new Set(parent.list());
    let number = 0;
    while (taken.has(`${PREFIX}${number}`)) number++;
    const name = `${PREFIX}${number}`;
    parent.makeDirectory(name, 0o700);
    return Directory.open(path.join(this.#parent, name));
  }
}
