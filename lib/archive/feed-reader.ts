// Follows a file that is being downloaded, and holds it against its digest.
import { createHash, type Hash } from "node:crypto";
import fs from "node:fs";
import { setImmediate } from "node:timers/promises";
import { Failure } from "../core/failure.ts";
import type { Feed } from "./unpacker.ts";

const CHUNK_BYTES = 1 << 20;
/** After so many chunks that were there already, whoever wants to cancel gets a turn. */
const CHUNKS_PER_TURN = 4;

/**
 * Every byte of the feed, in order, as it arrives, added to `hash`. With `memory` each chunk lies there, and is gone when
 * the next is asked for. Failures: corrupt when it ends early, unavailable.
 */
export async function* followFeed(
  feed: Feed,
  hash: Hash,
  signal: AbortSignal,
  memory?: Buffer,
): AsyncGenerator<Buffer, void, void> {
  const wake = () => feed.progress.wake();
  signal.addEventListener("abort", wake);
  const fd = fs.openSync(feed.path, fs.constants.O_RDONLY);
  try {
    for (let at = 0, turns = 1; at < feed.size; turns++) {
      const end = Math.min(feed.size, await arrived(feed, at, signal));
      const room = Math.min(CHUNK_BYTES, end - at);
      const chunk = memory ?? Buffer.allocUnsafeSlow(room);
      const length = fs.readSync(fd, chunk, 0, room, at);
      if (length === 0) throw early(feed, at);
      at += length;
      const bytes = chunk.subarray(0, length);
      hash.update(bytes);
      yield bytes;
      if (turns % CHUNKS_PER_TURN === 0) await setImmediate();
    }
  } finally {
    signal.removeEventListener("abort", wake);
    fs.closeSync(fd);
  }
}

/** The digest alone. Failures: corrupt, unavailable. */
export async function verifyFeed(feed: Feed, signal: AbortSignal): Promise<void> {
  const hash = createHash("sha256");
  const memory = Buffer.allocUnsafeSlow(Math.min(CHUNK_BYTES, feed.size));
  for await (const _chunk of followFeed(feed, hash, signal, memory));
  checkDigest(feed, hash);
}

/** Failure `corrupt` unless everything that was hashed has the feed's digest. */
export function checkDigest(feed: Feed, hash: Hash): void {
  const digest = `sha256:${hash.digest("hex")}`;
  if (digest !== feed.digest)
    throw new Failure(
      "corrupt",
      `its bytes have the digest ${digest}; they are downloaded again with the next attempt`,
    );
}

/** How far the file is whole, once that is beyond `at`. */
async function arrived(feed: Feed, at: number, signal: AbortSignal): Promise<number> {
  for (;;) {
    signal.throwIfAborted();
    const { bytes, state } = feed.progress.read();
    if (state === "aborted")
      throw new Failure("unavailable", "its download was given up; it is begun again with the next attempt");
    if (bytes > at) return bytes;
    if (state === "ended") throw early(feed, at);
    await feed.progress.changed(at);
  }
}

function early(feed: Feed, at: number): Failure {
  return new Failure(
    "corrupt",
    `it ends after ${at} of ${feed.size} bytes; it is downloaded again with the next attempt`,
  );
}
