// A worker thread whose end is always told, also where it could not even begin.
import { Worker, type WorkerOptions } from "node:worker_threads";

export type ThreadEvents<Told> = {
  readonly onTold: (told: Told) => void;
  /** Once, and never before the constructor has returned; `cause` is what ended it, where anything did. */
  readonly onEnd: (cause?: unknown) => void;
};

export class HostThread<Told> {
  readonly #worker: Worker | undefined;

  constructor(script: URL, options: WorkerOptions, events: ThreadEvents<Told>) {
    try {
      this.#worker = start(script, options, events);
    } catch (error) {
      // What keeps a thread from starting is thrown at once where the system has no thread left, and told later otherwise.
      setImmediate(events.onEnd, error);
    }
  }

  /** What a thread that has ended is told goes nowhere. */
  say(message: unknown): void {
    this.#worker?.postMessage(message);
  }

  ref(): void {
    this.#worker?.ref();
  }

  /** Is no reason for the process to stay. */
  unref(): void {
    this.#worker?.unref();
  }

  async terminate(): Promise<void> {
    await this.#worker?.terminate();
  }
}

function start<Told>(script: URL, options: WorkerOptions, { onTold, onEnd }: ThreadEvents<Told>): Worker {
  const worker = new Worker(script, options);
  let cause: unknown;
  worker.on("message", onTold);
  worker.on("error", (error) => {
    cause = error;
  });
  worker.on("exit", () => onEnd(cause));
  return worker;
}
