// Runs jobs in worker threads, one in each at a time, so that whatever a job waits for holds up nobody else.
import { Failure } from "../core/failure.ts";
import { HostThread } from "./host-thread.ts";
import type { FromJob, JobAnswer } from "./job-thread.ts";

export type JobThreadsOptions<Result = unknown> = {
  /** It calls serveJobs(). */
  readonly script: URL;
  /** How many jobs run at once; others wait for their turn. */
  readonly threads: number;
  /** What a job may hold in memory: beyond it, what it works on is hostile. */
  readonly heapMb: number;
  /** How long a thread stays that has nothing to do. */
  readonly idleMs: number;
  /**
   * Whether a thread holds so little after such a job that it may stay; after one that failed it does not. By default
   * it always may.
   */
  readonly mayStay?: (result: Result) => boolean;
  /** The Failure of a job whose thread ended in the middle of it, or was never started. */
  readonly ended: (cause?: unknown) => Failure;
};

export type RunOptions<Progress> = {
  /** Ends the thread with all that the job holds, wherever it is. */
  readonly signal?: AbortSignal;
  readonly onProgress?: (progress: Progress) => void;
};

export class JobThreads<Job, Result, Progress = never> implements AsyncDisposable {
  readonly #options: JobThreadsOptions<Result>;
  readonly #running = new Set<JobThread>();
  readonly #idle: JobThread[] = [];
  readonly #waiting: Array<() => void> = [];
  #taken = 0;

  constructor(options: JobThreadsOptions<Result>) {
    this.#options = options;
  }

  /** How many threads there are. */
  get threads(): number {
    return this.#running.size + this.#idle.length;
  }

  /** Rejects with the job's Failure, or the signal's reason: the thread has ended by then. */
  async run(job: Job, { signal, onProgress }: RunOptions<Progress> = {}): Promise<Result> {
    await this.#turn(signal);
    try {
      signal?.throwIfAborted();
      if (this.#taken < 0) throw this.#options.ended();
      const onTold = (told: unknown) => onProgress?.(told as Progress);
      return await this.#perform(job, signal, onTold);
    } finally {
      this.#taken--;
      this.#waiting.shift()?.();
    }
  }

  /** What runs or waits ends as its options say. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#taken = Number.NEGATIVE_INFINITY;
    for (const go of this.#waiting.splice(0)) go();
    await Promise.all([...this.#running, ...this.#idle.splice(0)].map((thread) => thread.end()));
  }

  async #turn(signal: AbortSignal | undefined): Promise<void> {
    signal?.throwIfAborted();
    if (++this.#taken <= this.#options.threads) return;
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#waiting.push(resolve);
    const leave = () => {
      const at = this.#waiting.indexOf(resolve);
      // Otherwise it is its turn already, which it gives back itself.
      if (at < 0) return;
      this.#waiting.splice(at, 1);
      this.#taken--;
      reject(signal?.reason);
    };
    signal?.addEventListener("abort", leave);
    await promise.finally(() => signal?.removeEventListener("abort", leave));
  }

  async #perform(
    job: Job,
    signal: AbortSignal | undefined,
    onTold: (told: unknown) => void,
  ): Promise<Result> {
    const { mayStay } = this.#options;
    const thread = this.#idle.pop() ?? new JobThread(this.#options);
    let stays = mayStay === undefined;
    this.#running.add(thread);
    const stop = () => void thread.end();
    signal?.addEventListener("abort", stop);
    try {
      const answer = await thread.run(job, onTold);
      signal?.throwIfAborted();
      if (answer.kind === "done") {
        const result = answer.result as Result;
        stays ||= mayStay?.(result) === true;
        return result;
      }
      if (answer.kind === "failed") throw new Failure(answer.reason, answer.message);
      throw new Error(`a thread failed: ${answer.stack}`);
    } catch (error) {
      throw signal?.aborted === true ? signal.reason : error;
    } finally {
      signal?.removeEventListener("abort", stop);
      this.#running.delete(thread);
      await this.#rest(thread, stays);
    }
  }

  async #rest(thread: JobThread, stays: boolean): Promise<void> {
    if (thread.isEnding || this.#taken < 0 || !stays || this.#options.idleMs === 0) return await thread.end();
    this.#idle.push(thread);
    thread.restFor(this.#options.idleMs, () => {
      const at = this.#idle.indexOf(thread);
      if (at < 0) return;
      this.#idle.splice(at, 1);
      void thread.end();
    });
  }
}

class JobThread {
  readonly #thread: HostThread<FromJob>;
  readonly #ended: JobThreadsOptions["ended"];
  readonly #gone = Promise.withResolvers<void>();
  #job:
    | { readonly settle: (answer: JobAnswer | Failure) => void; readonly tell: (told: unknown) => void }
    | undefined;
  #idle: NodeJS.Timeout | undefined;
  #cause: unknown;
  isEnding = false;

  constructor({ script, heapMb, ended }: Omit<JobThreadsOptions, "mayStay">) {
    this.#ended = ended;
    const options = { resourceLimits: { maxOldGenerationSizeMb: heapMb } };
    const onEnd = (cause: unknown) => {
      this.#cause = cause;
      this.isEnding = true;
      this.#job?.settle(this.#ended(cause));
      this.#gone.resolve();
    };
    this.#thread = new HostThread(script, options, { onTold: (message) => this.#hear(message), onEnd });
  }

  async run(job: unknown, tell: (told: unknown) => void): Promise<JobAnswer> {
    clearTimeout(this.#idle);
    const { promise, resolve, reject } = Promise.withResolvers<JobAnswer>();
    const settle = (answer: JobAnswer | Failure) => {
      this.#job = undefined;
      if (answer instanceof Failure) reject(answer);
      else resolve(answer);
    };
    this.#job = { settle, tell };
    // It may have ended while it rested.
    if (this.isEnding) settle(this.#ended(this.#cause));
    this.#thread.ref();
    this.#thread.say(job);
    return await promise;
  }

  restFor(ms: number, done: () => void): void {
    // An idle thread is no reason for the process to stay.
    this.#thread.unref();
    this.#idle = setTimeout(done, ms).unref();
  }

  /** Resolves when it holds nothing any more. */
  async end(): Promise<void> {
    clearTimeout(this.#idle);
    if (!this.isEnding) void this.#thread.terminate();
    this.isEnding = true;
    await this.#gone.promise;
  }

  #hear(message: FromJob): void {
    if (message.kind === "told") this.#job?.tell(message.progress);
    else this.#job?.settle(message);
  }
}
