// One blob on its way into its partial, read while it arrives; the first trouble of either side ends both.
import type { Feed } from "../archive/unpacker.ts";
import type { Access } from "../core/access.ts";
import { Failure } from "../core/failure.ts";
import type { Reader, WantedBlob } from "../registry/reader.ts";
import type { Partial } from "./partial.ts";

export type Download<T> = {
  readonly reader: Reader;
  readonly access: Access;
  readonly blob: WantedBlob;
  readonly partial: Partial;
  /** Follows the file from its start, or waits for `arrived`, the whole of it; resolves only once the digest held. */
  readonly read: (feed: Feed, signal: AbortSignal, arrived: Promise<void>) => Promise<T>;
};

/** What the reading side made of it. Rejects with the trouble that came first, when both sides have stopped. */
export async function download<T>(it: Download<T>, closing: AbortSignal): Promise<T> {
  const { partial, read } = it;
  const trouble = new AbortController();
  const signal = AbortSignal.any([closing, trouble.signal]);
  const stop = (error: unknown) => {
    partial.feed.progress.abort();
    trouble.abort(error);
    throw error;
  };
  const arrived = fetchMissing(it, signal).catch(stop);
  const [reading] = await Promise.allSettled([read(partial.feed, signal, arrived).catch(stop), arrived]);
  signal.throwIfAborted();
  if (reading.status === "rejected") throw reading.reason;
  return reading.value;
}

async function fetchMissing<T>(it: Download<T>, signal: AbortSignal): Promise<void> {
  const { reader, access, blob, partial } = it;
  if (partial.missing().length > 0) await reader.fetchBlob(access, blob, partial, signal);
  if (partial.missing().length > 0) {
    throw new Failure(
      "unavailable",
      `Cannot fetch the blob ${blob.digest} of ${access.host}/${access.repository}: it ended early; try again`,
    );
  }
  partial.feed.progress.end();
}

/** Whether what has arrived is worth keeping: after wrong bytes, a refusal or for want of room it is not. */
export function keepsAfter(error: unknown): boolean {
  return !(error instanceof Failure) || error.reason === "unavailable" || error.reason === "pending";
}
