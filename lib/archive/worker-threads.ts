// The worker threads of the unpacker: started when there is something to do, ended when there is nothing for a while.
import { Failure } from "../core/failure.ts";
import { errorCode } from "../host/errno.ts";
import { HostThread } from "../host/host-thread.ts";
import type { Unpacked } from "./unpacker.ts";
import type { FromWorker, ToWorker } from "./worker-messages.ts";

/** How a worker speaks with who waits for one job. */
export type Waiter = {
  readonly room: (bytes: number) => Promise<void>;
  readonly settle: (outcome: Unpacked | Error | undefined) => void;
};

/** Beyond this a job is hostile; the default is the machine's memory. */
const HEAP_MB = 128;

/** One thread and the jobs on it. */
export class WorkerThread {
  readonly #worker: HostThread<FromWorker>;
  readonly #waiters = new Map<number, Waiter>();

  /** `gone` is told once, when the thread has ended for whatever cause. */
  constructor(gone: (thread: WorkerThread) => void) {
    const options = { resourceLimits: { maxOldGenerationSizeMb: HEAP_MB } };
    const onEnd = (cause: unknown) => {
      gone(this);
      for (const { settle } of this.#waiters.values()) settle(toFailure(cause));
      this.#waiters.clear();
    };
    const script = new URL("./unpack.worker.ts", import.meta.url);
    this.#worker = new HostThread(script, options, { onTold: (message) => this.#hear(message), onEnd });
    // An idle thread is no reason for the process to stay.
    this.#worker.unref();
  }

  get jobs(): number {
    return this.#waiters.size;
  }

  start(message: ToWorker & { readonly kind: "unpack" | "verify" }, waiter: Waiter): void {
    this.#waiters.set(message.id, waiter);
    this.#worker.ref();
    this.#say(message);
  }

  cancel(id: number): void {
    this.#say({ kind: "cancel", id });
  }

  async end(): Promise<void> {
    await this.#worker.terminate();
  }

  #say(message: ToWorker): void {
    this.#worker.say(message);
  }

  #hear(message: FromWorker): void {
    const waiter = this.#waiters.get(message.id);
    if (waiter === undefined) return;
    if (message.kind === "room") {
      const granted = () => this.#say({ kind: "granted", id: message.id });
      // Refused: the thread still writes until it says that it stopped.
      waiter.room(message.bytes).then(granted, () => this.cancel(message.id));
      return;
    }
    this.#waiters.delete(message.id);
    if (this.#waiters.size === 0) this.#worker.unref();
    if (message.kind === "done") waiter.settle(message.unpacked);
    else if (message.kind === "failed") waiter.settle(new Failure(message.reason, message.message));
    else waiter.settle(new Error(`an unpacking thread failed: ${message.stack}`));
  }
}

function toFailure(cause: unknown): Error {
  if (errorCode(cause) === "ERR_WORKER_OUT_OF_MEMORY")
    return new Failure("unsupported", "it needs more memory to unpack than a layer may have; split it", {
      cause,
    });
  return new Failure(
    "unavailable",
    "the thread that unpacked it ended; it is tried again with the next attempt",
    { cause },
  );
}
