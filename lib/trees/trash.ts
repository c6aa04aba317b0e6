// Letting go: a rename into `trash/`, then removal at leisure, so that a crash never leaves half of anything in place.
import { randomUUID } from "node:crypto";
import path from "node:path";
import { isFailure } from "../core/failure.ts";
import type { Files } from "../host/files.ts";

export type TrashDeps = {
  readonly files: Pick<Files, "rename" | "list">;
  readonly directory: string;
  /** Removes one entry of the directory, whatever is nested in it. */
  readonly removeTree: (directory: string, name: string) => Promise<void>;
  readonly onTrouble: (message: string, error: unknown) => void;
};

export class Trash {
  readonly #deps: TrashDeps;
  readonly #removals = new Set<Promise<void>>();
  /** What could not be removed yet. */
  readonly #left = new Set<string>();
  /** The log has their trouble once. */
  readonly #told = new Set<string>();

  constructor(deps: TrashDeps) {
    this.#deps = deps;
  }

  /** What stood at `at` is gone from there when it resolves; its removal goes on behind. Nothing there is as good. */
  async take(at: string): Promise<void> {
    this.retry();
    const name = randomUUID();
    try {
      await this.#deps.files.rename(at, path.join(this.#deps.directory, name));
    } catch (error) {
      if (isFailure(error, "not-found")) return;
      throw error;
    }
    this.#remove(name);
  }

  /** Begins to remove what an earlier run left. */
  async sweep(): Promise<void> {
    for (const { name } of await this.#deps.files.list(this.#deps.directory)) this.#remove(name);
  }

  /** Begins again with what could not be removed, such as for want of file descriptors. */
  retry(): void {
    const names = [...this.#left];
    this.#left.clear();
    for (const name of names) this.#remove(name);
  }

  /** Resolves when everything taken so far is removed, or could not be. */
  async emptied(): Promise<void> {
    while (this.#removals.size > 0) await Promise.all(this.#removals);
  }

  #remove(name: string): void {
    const removal = this.#deps
      .removeTree(this.#deps.directory, name)
      .then(
        () => void this.#told.delete(name),
        (error: unknown) => this.#leave(name, error),
      )
      .finally(() => this.#removals.delete(removal));
    this.#removals.add(removal);
  }

  #leave(name: string, error: unknown): void {
    this.#left.add(name);
    if (this.#told.has(name)) return;
    this.#told.add(name);
    this.#deps.onTrouble(`Cannot empty the trash of "${name}"`, error);
  }
}
