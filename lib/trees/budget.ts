// How much the store may take beside claims: room is reserved before it is used, and made by collection where it lacks.
import type { Promised } from "../core/capacity.ts";
import { Failure } from "../core/failure.ts";
import { type Amount, bytesOf, formatBytes } from "../core/quantity.ts";
import type { FilesystemRoom } from "../host/files.ts";

export type Marks = { readonly high: Amount; readonly low: Amount };

export type BudgetDeps = {
  /** Shares are of what the claims' promises leave. */
  readonly marks: Marks;
  /** What claims were given: asked each time, and counted before room is taken against it. */
  readonly promised: () => Promise<Promised>;
  /** What is on disk and counted, without what is reserved. */
  readonly usedBytes: () => number;
  readonly room: () => Promise<FilesystemRoom>;
  /** Removes the longest unused until no more than `targetBytes` are used, or nothing more can go. */
  readonly collect: (targetBytes: number) => Promise<void>;
};

/** Room that is spoken for; disposing gives back all of it. */
export interface Reservation extends Disposable {
  /** Reserves more; by then all that it grew by before is on the disk. Failure: full. */
  grow(bytes: number): Promise<void>;
  /** From now on `arrived` tells how much of the first part is on the disk; what it grew by before counts as free again. */
  follow(arrived: () => number): void;
}

type Look = {
  readonly high: number;
  readonly low: number;
  /** Less than nothing where promises are larger than what is free. */
  readonly free: number;
  readonly promised: number;
};

export class Budget {
  readonly #deps: BudgetDeps;
  #reservedBytes = 0;
  /** Each tells how much of one reservation is on the disk already, and so is not free there any more. */
  readonly #onDisk = new Set<() => number>();
  #collecting: Promise<void> = Promise.resolve();

  constructor(deps: BudgetDeps) {
    this.#deps = deps;
  }

  get reservedBytes(): number {
    return this.#reservedBytes;
  }

  /** Of what is reserved: what is still free on the disk. */
  get incomingBytes(): number {
    return this.#reservedBytes - this.#onDiskBytes();
  }

  /**
   * Reserves room for `what`, collecting first where there is none; `here` of it are on the disk already, and no
   * longer among what is used. Failure: full, with the sizes.
   */
  async reserve(bytes: number, what: string, here = 0): Promise<Reservation> {
    let reserved = 0;
    const spent = { grown: 0, used: 0, arrived: () => here };
    const onDisk = () => Math.min(reserved, spent.arrived() + spent.used);
    this.#onDisk.add(onDisk);
    const giveBack = () => {
      this.#onDisk.delete(onDisk);
      this.#reservedBytes -= reserved;
      reserved = 0;
    };
    const take = async (more: number) => {
      // Counted before it is checked, so that of two who ask at once only one gets the last room.
      reserved += more;
      this.#reservedBytes += more;
      try {
        await this.ensure(0, what);
      } catch (error) {
        reserved -= more;
        this.#reservedBytes -= more;
        throw error;
      }
    };
    try {
      await take(bytes);
    } catch (error) {
      giveBack();
      throw error;
    }
    return {
      grow: async (more) => {
        spent.used = spent.grown;
        await take(more);
        spent.grown += more;
      },
      follow: (arrived) => Object.assign(spent, { grown: 0, used: 0, arrived }),
      [Symbol.dispose]: giveBack,
    };
  }

  /** Resolves when `bytes` more would fit, collecting where they do not. Failure: full, with the sizes. */
  async ensure(bytes: number, what: string): Promise<void> {
    if (await this.#fits(bytes)) return;
    // One after the other: what the first collection freed may be all the second needs.
    const collected = this.#collecting.then(async () => {
      if (!(await this.#fits(bytes))) await this.#makeRoom(bytes);
    });
    this.#collecting = collected.catch(() => {});
    await collected;
    if (!(await this.#fits(bytes))) throw await this.#full(bytes, what);
  }

  /** Collects down to the low mark where the high one is passed. */
  async keep(): Promise<void> {
    await this.ensure(0, "the store").catch((error: unknown) => {
      if (!(error instanceof Failure) || error.reason !== "full") throw error;
    });
  }

  async #look(): Promise<Look> {
    const { marks, room, promised } = this.#deps;
    const { heldBytes, unusedBytes } = await promised();
    const { bytesTotal, bytesFree } = await room();
    const left = Math.max(0, bytesTotal - heldBytes);
    const [high, low] = [bytesOf(marks.high, left), bytesOf(marks.low, left)];
    return { high, low, free: bytesFree - unusedBytes, promised: unusedBytes };
  }

  async #makeRoom(bytes: number): Promise<void> {
    const { high, low, free } = await this.#look();
    const used = this.#deps.usedBytes();
    const wanted = this.#reservedBytes + bytes;
    // Down to the low mark with what is wanted in it, where that can be; at least to where it fits.
    const byMarks = wanted < low ? low - wanted : high - wanted;
    const byDisk = used - Math.max(0, wanted - this.#onDiskBytes() - free);
    await this.#deps.collect(Math.max(0, Math.min(byMarks, byDisk)));
  }

  async #fits(bytes: number): Promise<boolean> {
    const { high, free } = await this.#look();
    const wanted = this.#reservedBytes + bytes;
    return this.#deps.usedBytes() + wanted <= high && wanted - this.#onDiskBytes() <= free;
  }

  #onDiskBytes(): number {
    return [...this.#onDisk].reduce((sum, read) => sum + read(), 0);
  }

  async #full(bytes: number, what: string): Promise<Failure> {
    const { high, free, promised } = await this.#look();
    const needed = formatBytes(bytes > 0 ? bytes : this.#reservedBytes);
    const used = formatBytes(this.#deps.usedBytes());
    const [given, remedy] =
      promised === 0
        ? ["", "or raise store.high"]
        : [
            ` besides ${formatBytes(promised)} that are promised to claims`,
            "delete claims, or raise store.high or claims.overcommit",
          ];
    return new Failure(
      "full",
      `Cannot make room for ${what}: ${needed} are needed, ${used} of at most ${formatBytes(high)} are in use by other volumes, and ${formatBytes(Math.max(0, free))} are free on the disk${given}; remove volumes that use other artifacts, ${remedy}`,
    );
  }
}
