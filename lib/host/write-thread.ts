// Writes to files in a thread of its own, in small pieces.
import { Worker } from "node:worker_threads";
import { threadFailure } from "./errno.ts";
import type { Sum } from "./running-digests.ts";

/** A file whose digest is taken while it is written. Disposing lets go of what was hashed, not of the file. */
export interface HashedFile extends Disposable {
  /** As `Writes.writeAt`. */
  writeAt(offset: number, bytes: Uint8Array): Promise<void>;
  /** Of the whole, when its last write resolved and each began where the one before it ended; otherwise undefined. */
  readonly digest: string | undefined;
}

export interface Writes {
  /**
   * Resolves when all of `bytes` are in the file from `offset` on; rejects with the system call's error (`code`), or
   * with the Failure `unavailable` where the thread could not start or ended.
   * Bytes in shared memory are not copied on the way. The descriptor must stay open until it settles.
   */
  writeAt(fd: number, offset: number, bytes: Uint8Array): Promise<void>;
  /** A file that is to have `size` bytes. */
  hash(fd: number, size: number): HashedFile;
}

export type WriteOrder = {
  readonly fd: number;
  readonly offset: number;
  readonly bytes: Uint8Array;
  readonly sum?: Sum;
};

export type ToWriter = WriteOrder | { readonly forget: Sum["id"] };

/** No `message` when it is done. */
export type WriteAnswer = {
  readonly message?: string;
  readonly code?: string | undefined;
  readonly digest?: string | undefined;
};

type Turn = {
  readonly resolve: (digest: string | undefined) => void;
  readonly reject: (error: Error) => void;
};

/** How long the thread is kept when there is nothing to write. */
const IDLE_MS = 5_000;

/**
 * One thread is enough: the kernel lets one write at a time into a file, and those that wait for their turn in several
 * threads spin. It may wait for the disk without holding up anything but writes.
 */
export class WriteThread implements Writes, AsyncDisposable {
  readonly #idleMs: number;
  #worker: Worker | undefined;
  #turns: Turn[] = [];
  #idle: NodeJS.Timeout | undefined;
  #closed = false;
  #lastSum = 0;

  constructor(options: { readonly idleMs?: number } = {}) {
    this.#idleMs = options.idleMs ?? IDLE_MS;
  }

  async writeAt(fd: number, offset: number, bytes: Uint8Array): Promise<void> {
    await this.#write({ fd, offset, bytes });
  }

  hash(fd: number, size: number): HashedFile {
    const sum = { id: ++this.#lastSum, size };
    let digest: string | undefined;
    return {
      get digest() {
        return digest;
      },
      writeAt: async (offset, bytes) => {
        digest = undefined;
        digest = await this.#write({ fd, offset, bytes, sum });
      },
      [Symbol.dispose]: () => {
        if (digest === undefined) this.#worker?.postMessage({ forget: sum.id } satisfies ToWriter);
      },
    };
  }

  /** The digest of the order's file, where this completed it. */
  async #write(order: WriteOrder): Promise<string | undefined> {
    if (this.#closed) throw new Error("the thread that writes was closed");
    const { promise, resolve, reject } = Promise.withResolvers<string | undefined>();
    clearTimeout(this.#idle);
    this.#worker ??= this.#start();
    this.#worker.ref();
    this.#turns.push({ resolve, reject });
    this.#worker.postMessage(order satisfies ToWriter);
    return await promise;
  }

  /** Whether there is a thread now. */
  get running(): boolean {
    return this.#worker !== undefined;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#idle);
    await this.#worker?.terminate();
  }

  #start(): Worker {
    const worker = new Worker(new URL("./write.worker.ts", import.meta.url), {
      execArgv: [],
      resourceLimits: { maxOldGenerationSizeMb: 16, maxYoungGenerationSizeMb: 2 },
    });
    let cause: unknown;
    worker.on("message", (answer: WriteAnswer) => this.#settle(answer));
    worker.on("error", (error) => (cause = error));
    worker.on("exit", () => {
      if (this.#worker !== worker) return;
      this.#worker = undefined;
      const failure = threadFailure(cause, "Cannot write what arrives");
      for (const { reject } of this.#turns.splice(0)) reject(failure);
    });
    return worker;
  }

  /** Answers come in the order of the orders. */
  #settle({ message, code, digest }: WriteAnswer): void {
    const turn = this.#turns.shift();
    if (message === undefined) turn?.resolve(digest);
    else turn?.reject(Object.assign(new Error(message), { code, syscall: "write" }));
    if (this.#turns.length > 0) return;
    this.#worker?.unref();
    clearTimeout(this.#idle);
    this.#idle = setTimeout(() => this.#rest(), this.#idleMs).unref();
  }

  #rest(): void {
    const worker = this.#worker;
    this.#worker = undefined;
    void worker?.terminate();
  }
}
