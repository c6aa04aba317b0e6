// The thread where system calls wait: one at a time, answered when it returns.
import { parentPort } from "node:worker_threads";
import type { BlockingAnswer, BlockingCall } from "./blocking.ts";
import { errorCode } from "./errno.ts";
import { syncFilesystem, unmount } from "./mount-calls.ts";
import { mountOverlay } from "./overlay-calls.ts";

function perform(call: BlockingCall): void {
  switch (call.kind) {
    case "unmount":
      return unmount(call.target);
    case "syncfs":
      return syncFilesystem(call.path);
    case "overlay":
      return mountOverlay(call);
  }
}

function answerOf(call: BlockingCall): BlockingAnswer {
  try {
    perform(call);
    return {};
  } catch (error) {
    const detail = error instanceof Error && "detail" in error ? String(error.detail) : "";
    const message = error instanceof Error ? error.message : String(error);
    return { error: { message, code: errorCode(error), detail } };
  }
}

parentPort?.on("message", (call: BlockingCall) => parentPort?.postMessage(answerOf(call)));
parentPort?.postMessage({} satisfies BlockingAnswer);
