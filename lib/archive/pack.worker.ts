// The worker thread of the packer.
import { serveJobs } from "../host/job-thread.ts";
import { packDelta } from "./pack-delta.ts";
import { packMerged } from "./pack-merged.ts";
import { PackTally } from "./pack-progress.ts";
import type { PackTask } from "./packer.ts";

serveJobs(async (task: PackTask, tell) => {
  const tally = new PackTally(tell);
  return task.kind === "delta" ? await packDelta(task.job, tally) : await packMerged(task.job, tally);
});
