import { setTimeout as pause } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { Failure, isFailure } from "../core/failure.ts";
import { JobThreads } from "./job-threads.ts";

/** What the script in testing/ is told to do. */
type Job =
  | { readonly kind: "who" }
  | { readonly kind: "wait"; readonly flag: SharedArrayBuffer }
  | { readonly kind: "tell"; readonly times: number }
  | { readonly kind: "refuse" | "break" | "exit" };

let open: AsyncDisposableStack;
beforeEach(() => {
  open = new AsyncDisposableStack();
});
afterEach(async () => await open.disposeAsync());

const LONG = { timeout: 60_000, interval: 5 };

type More = { script?: URL; threads?: number; idleMs?: number; mayStay?: (result: number) => boolean };
const start = (more: More = {}) =>
  open.use(
    new JobThreads<Job, number, number>({
      script: new URL("./testing/job.worker.ts", import.meta.url),
      threads: 1,
      idleMs: 60_000,
      heapMb: 64,
      ended: (cause) => new Failure("unavailable", "the thread ended", { cause }),
      ...more,
    }),
  );

const flag = () => new SharedArrayBuffer(4);
function raise(shared: SharedArrayBuffer): void {
  Atomics.store(new Int32Array(shared), 0, 1);
  Atomics.notify(new Int32Array(shared), 0);
}

describe("JobThreads", () => {
  it("run() leaves this thread to others while a job waits", async () => {
    const threads = start();
    const shared = flag();
    const waiting = threads.run({ kind: "wait", flag: shared });
    // Were it this thread that waits, nobody would come to raise the flag.
    await pause(0);
    raise(shared);
    expect(await waiting).toBeGreaterThan(0);
  });

  it("run() tells of a thread that cannot be started as of one that ended, and goes on", async () => {
    const threads = start({ script: new URL("https://nowhere.example/job.worker.ts") });
    for (const _ of [1, 2]) {
      const refused = threads.run({ kind: "who" });
      await expect(refused).rejects.toMatchObject({ reason: "unavailable", cause: expect.any(Error) });
    }
    expect(threads.threads).toBe(0);
  });

  it("run() takes as many at once as it has threads, and the same threads again", async () => {
    const threads = start({ threads: 2 });
    const shared = flag();
    const waiting = threads.run({ kind: "wait", flag: shared });
    const others = [await threads.run({ kind: "who" }), await threads.run({ kind: "who" })];
    expect(new Set(others).size).toBe(1);
    raise(shared);
    expect(others).not.toContain(await waiting);
    expect(threads.threads).toBe(2);
  });

  it("run() with a signal ends the thread in the middle, takes who waits from the queue, and goes on with another", async () => {
    const threads = start();
    const cancelled = new AbortController();
    const waiting = threads.run({ kind: "wait", flag: flag() }, cancelled);
    const queued = threads.run({ kind: "who" }, cancelled);
    const next = threads.run({ kind: "who" });
    cancelled.abort(new Error("enough"));
    await expect(waiting).rejects.toThrow("enough");
    await expect(queued).rejects.toThrow("enough");
    expect(await next).toBeGreaterThan(0);
    await expect(threads.run({ kind: "who" }, cancelled)).rejects.toThrow("enough");
  });

  it("run() tells what the job tells, before its end", async () => {
    const told: number[] = [];
    await start().run({ kind: "tell", times: 3 }, { onProgress: (one) => told.push(one) });
    expect(told).toEqual([0, 1, 2]);
  });

  it("run() throws a Failure as it is, anything else as a bug, and what an end means", async () => {
    const threads = start();
    await expect(threads.run({ kind: "refuse" })).rejects.toSatisfy((error) => isFailure(error, "full"));
    await expect(threads.run({ kind: "break" })).rejects.toThrow(/a thread failed: Error: broken/);
    await expect(threads.run({ kind: "exit" })).rejects.toThrow("the thread ended");
    expect(await threads.run({ kind: "who" })).toBeGreaterThan(0);
  });

  it("ends threads that have nothing to do, at once where they may not rest", async () => {
    const brief = start({ idleMs: 1 });
    await brief.run({ kind: "who" });
    await vi.waitFor(() => expect(brief.threads).toBe(0), LONG);
    expect(await brief.run({ kind: "who" })).toBeGreaterThan(0);
    const none = start({ idleMs: 0 });
    await none.run({ kind: "who" });
    expect(none.threads).toBe(0);
  });

  it("ends a thread at once after a job with which it may not stay, and after one that failed", async () => {
    const results: number[] = [];
    const threads = start({ mayStay: (result) => results.push(result) > 1 });
    const first = await threads.run({ kind: "who" });
    expect(threads.threads).toBe(0);
    const second = await threads.run({ kind: "who" });
    expect(threads.threads).toBe(1);
    expect(await threads.run({ kind: "who" })).toBe(second);
    expect(results).toEqual([first, second, second]);
    await expect(threads.run({ kind: "refuse" })).rejects.toThrow("it is full");
    expect(threads.threads).toBe(0);
  });

  it("ends what runs and what waits when it is disposed of", async () => {
    const threads = start();
    const jobs = [threads.run({ kind: "wait", flag: flag() }), threads.run({ kind: "who" })];
    const ends = Promise.allSettled(jobs);
    await threads[Symbol.asyncDispose]();
    expect((await ends).map(({ status }) => status)).toEqual(["rejected", "rejected"]);
    expect(threads.threads).toBe(0);
    await expect(threads.run({ kind: "who" })).rejects.toThrow("the thread ended");
  });
});
