// The inside of a thread of JobThreads: takes one job after another, and answers each.
import { parentPort } from "node:worker_threads";
import { isFailure, type Reason } from "../core/failure.ts";

export type JobAnswer =
  | { readonly kind: "done"; readonly result: unknown }
  | { readonly kind: "failed"; readonly reason: Reason; readonly message: string }
  | { readonly kind: "broken"; readonly stack: string };

export type FromJob = JobAnswer | { readonly kind: "told"; readonly progress: unknown };

/** Jobs are what the thread's own run() is given. What `work` throws that is no Failure is a bug, and told as one. */
export function serveJobs(work: (job: never, tell: (progress: unknown) => void) => unknown): void {
  const port = parentPort;
  if (port === null) throw new Error("jobs are served in a worker thread");
  const say = (message: FromJob) => port.postMessage(message);
  const tell = (progress: unknown) => say({ kind: "told", progress });
  const answer = async (job: never) => say(await answerOf(async () => await work(job, tell)));
  port.on("message", (job: unknown) => void answer(job as never));
}

async function answerOf(work: () => Promise<unknown>): Promise<JobAnswer> {
  try {
    return { kind: "done", result: await work() };
  } catch (error) {
    if (isFailure(error)) return { kind: "failed", reason: error.reason, message: error.message };
    return { kind: "broken", stack: (error as Error)?.stack ?? String(error) };
  }
}
