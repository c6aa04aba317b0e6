// The worker thread of the unpacker: runs what it is told to, several jobs in turns, a chunk at a time.
import { parentPort } from "node:worker_threads";
import { isFailure } from "../core/failure.ts";
import { toJobFailure } from "./errno.ts";
import { FeedProgress } from "./feed-progress.ts";
import { verifyFeed } from "./feed-reader.ts";
import { unpackFeed } from "./unpack-feed.ts";
import type { Feed, Unpacked } from "./unpacker.ts";
import type { FeedMessage, FromWorker, ToWorker } from "./worker-messages.ts";

if (parentPort === null) throw new Error("unpack.worker.ts runs in a worker thread");
const port = parentPort;
const say = (message: FromWorker) => port.postMessage(message);

type Running = { readonly cancelled: AbortController; granted?: () => void };
const running = new Map<number, Running>();

function toFeed({ shared, ...feed }: FeedMessage): Feed {
  return { ...feed, progress: new FeedProgress(shared) };
}

function roomFor(id: number, job: Running): (bytes: number) => Promise<void> {
  return async (bytes) => {
    const { promise, resolve } = Promise.withResolvers<void>();
    job.granted = resolve;
    say({ kind: "room", id, bytes });
    await promise;
    job.cancelled.signal.throwIfAborted();
  };
}

async function perform(
  message: ToWorker & { readonly kind: "unpack" | "verify" },
  job: Running,
): Promise<Unpacked | undefined> {
  const { signal } = job.cancelled;
  const feed = toFeed(message.feed);
  if (message.kind === "unpack")
    return await unpackFeed({ ...message.job, feed }, { signal, room: roomFor(message.id, job) });
  await verifyFeed(feed, signal);
  return undefined;
}

async function run(message: ToWorker & { readonly kind: "unpack" | "verify" }): Promise<void> {
  const { id } = message;
  const job: Running = { cancelled: new AbortController() };
  running.set(id, job);
  try {
    const unpacked = await perform(message, job);
    say({ kind: "done", id, ...(unpacked === undefined ? {} : { unpacked }) });
  } catch (thrown) {
    const error = toJobFailure(thrown);
    if (isFailure(error)) say({ kind: "failed", id, reason: error.reason, message: error.message });
    else say({ kind: "broken", id, stack: (error as Error)?.stack ?? String(error) });
  } finally {
    running.delete(id);
  }
}

port.on("message", (message: ToWorker) => {
  if (message.kind === "unpack" || message.kind === "verify") {
    void run(message);
    return;
  }
  const job = running.get(message.id);
  if (message.kind === "cancel") job?.cancelled.abort();
  job?.granted?.();
});
