// One layer from its feed into its directory: what a worker thread does for each job.
import { createHash } from "node:crypto";
import { Failure, isFailure } from "../core/failure.ts";
import { decompress } from "./decompress.ts";
import { checkDigest, followFeed, verifyFeed } from "./feed-reader.ts";
import { LayerWriter } from "./layer-writer.ts";
import { TarReader } from "./tar-reader.ts";
import type { Unpacked, UnpackJob, UnpackOptions } from "./unpacker.ts";

const LEAST_STEP = 64 << 10;
const LARGEST_STEP = 16 << 20;

/** As `Unpacker.unpack`, but for the words in front of its Failures. */
export async function unpackFeed(job: UnpackJob, options: UnpackOptions): Promise<Unpacked> {
  const stopped = new AbortController();
  try {
    return await fill(job, { ...options, signal: AbortSignal.any([options.signal, stopped.signal]) });
  } catch (error) {
    // What reads ahead may be waiting for bytes that nobody wants any more.
    stopped.abort();
    // Wrong bytes make a broken archive: whose fault it is, only the digest tells.
    if (isFailure(error, "invalid") || isFailure(error, "unsupported"))
      await verifyFeed(job.feed, options.signal);
    throw error;
  }
}

async function fill(job: UnpackJob, { signal, room }: UnpackOptions): Promise<Unpacked> {
  const packed = createHash("sha256");
  const plain = job.diffId === undefined ? undefined : createHash("sha256");
  const purse = new Purse(room, job.feed.size);
  using writer = new LayerWriter(job.directory, job);
  const reader = new TarReader(writer, () => writer.bytes < purse.granted);
  for await (const chunk of decompress(followFeed(job.feed, packed, signal), job.compression)) {
    signal.throwIfAborted();
    plain?.update(chunk);
    await purse.holds(writer.bytes + chunk.length);
    for (let isThrough = reader.push(chunk); !isThrough; isThrough = reader.resume())
      await purse.holds(writer.bytes + 1);
  }
  for (let isThrough = reader.end(); !isThrough; isThrough = reader.resume())
    await purse.holds(writer.bytes + 1);
  const unpacked = writer.close();
  checkDigest(job.feed, packed);
  const diffId = plain === undefined ? undefined : `sha256:${plain.digest("hex")}`;
  if (diffId !== job.diffId)
    throw new Failure(
      "corrupt",
      `it unpacks to the digest ${diffId}, and its config states ${job.diffId}; push it again`,
    );
  return unpacked;
}

/** The room that was granted so far; asked for in steps, so that not every file costs a question. */
class Purse {
  granted = 0;
  readonly #room: UnpackOptions["room"];
  readonly #step: number;

  constructor(room: UnpackOptions["room"], packedBytes: number) {
    this.#room = room;
    this.#step = Math.min(LARGEST_STEP, Math.max(LEAST_STEP, 2 * packedBytes));
  }

  async holds(bytes: number): Promise<void> {
    if (bytes <= this.granted) return;
    const more = Math.max(this.#step, bytes - this.granted);
    await this.#room(more);
    this.granted += more;
  }
}
