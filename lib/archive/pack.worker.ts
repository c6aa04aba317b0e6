// The worker thread of the packer: does the one thing it was started with, and ends.
import { parentPort, workerData } from "node:worker_threads";
import { isFailure } from "../core/failure.ts";
import { packDelta } from "./pack-delta.ts";
import { packMerged } from "./pack-merged.ts";
import type { PackAnswer, PackTask } from "./packer.ts";

if (parentPort === null) throw new Error("pack.worker.ts runs in a worker thread");
const task = workerData as PackTask;

async function answer(): Promise<PackAnswer> {
  try {
    const packed = task.kind === "delta" ? await packDelta(task.job) : await packMerged(task.job);
    return { kind: "done", packed };
  } catch (error) {
    if (isFailure(error)) return { kind: "failed", reason: error.reason, message: error.message };
    return { kind: "broken", stack: (error as Error)?.stack ?? String(error) };
  }
}

parentPort.postMessage(await answer());
