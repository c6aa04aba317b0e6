// The thread that trims: its calls wait for the disk as long as that takes.
import { serveJobs } from "../host/job-thread.ts";
import { trimLayer } from "./trim-layer.ts";
import { isRaised, type TrimTask } from "./trimmer.ts";

serveJobs(({ layer, journal, isBegun, haste }: TrimTask) =>
  trimLayer(layer, journal, { isBegun, isHasty: () => isRaised(haste) }),
);
