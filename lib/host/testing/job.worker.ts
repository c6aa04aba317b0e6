// A thread that does what a test says, for JobThreads.
import process from "node:process";
import { threadId } from "node:worker_threads";
import { Failure } from "../../core/failure.ts";
import { serveJobs } from "../job-thread.ts";

type Job = { readonly kind: string; readonly flag?: SharedArrayBuffer; readonly times?: number };

serveJobs(({ kind, flag, times = 0 }: Job, tell) => {
  if (flag !== undefined) Atomics.wait(new Int32Array(flag), 0, 0);
  for (let count = 0; count < times; count++) tell(count);
  if (kind === "refuse") throw new Failure("full", "Cannot go on: it is full");
  if (kind === "break") throw new Error("broken");
  if (kind === "exit") process.exit(1);
  return threadId;
});
