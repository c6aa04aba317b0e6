// The thread that writes: one order after the other, answered when the bytes are in the file.
import fs from "node:fs";
import { parentPort } from "node:worker_threads";
import { errorCode } from "./errno.ts";
import { RunningDigests } from "./running-digests.ts";
import type { ToWriter, WriteAnswer, WriteOrder } from "./write-thread.ts";

/**
 * The page cache takes memory in pieces of a write's size. Small ones are found among what was freed lately; for large
 * ones a virtual machine often has to ask its host, which was measured to cost five times the write itself.
 */
const PIECE_BYTES = 16 * 1024;

const digests = new RunningDigests();

function write({ fd, offset, bytes, sum }: WriteOrder): WriteAnswer {
  try {
    for (let done = 0; done < bytes.length; ) {
      const length = Math.min(PIECE_BYTES, bytes.length - done);
      done += fs.writeSync(fd, bytes, done, length, offset + done);
    }
    return sum === undefined ? {} : { digest: digests.add(sum, offset, bytes) };
  } catch (error) {
    if (sum !== undefined) digests.forget(sum.id);
    return { message: error instanceof Error ? error.message : String(error), code: errorCode(error) };
  }
}

parentPort?.on("message", (said: ToWriter) => {
  if ("forget" in said) digests.forget(said.forget);
  else parentPort?.postMessage(write(said));
});
