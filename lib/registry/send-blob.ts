// Makes sure that a registry has one of this node's blobs, sending it only where it lacks it.
import { createReadStream } from "node:fs";
import type { Access } from "../core/access.ts";
import { Failure, isFailure } from "../core/failure.ts";
import { insist, insistOn } from "./insist.ts";
import type { BlobName, Held } from "./upstream.ts";
import { nameOf, type OwnBlob, type PushDeps } from "./version-push.ts";

const CHUNK = 256 * 1024;

type Sending = {
  readonly access: Access;
  readonly blob: OwnBlob;
  /** How many bytes ORAS has read of it; starts over when it is sent again. */
  readonly onRead: (bytes: number) => void;
};

/**
 * How many bytes were sent: none where it has them. It is asked before each attempt, since a blob that arrived in
 * spite of a failure need not travel again, and since it may say how long to stay away. Not checked afterwards;
 * whoever tags asks again.
 */
export async function sendBlob(
  deps: PushDeps,
  { access, blob, onRead }: Sending,
  signal: AbortSignal,
): Promise<number> {
  const prepare = async () => {
    const held = await heldOrUnseen(deps, { access, blob }, signal);
    if (held === "broken") await deleteBroken(deps, { access, blob }, signal);
    return held === "whole" ? 0 : undefined;
  };
  const command = async () => {
    await deps.oras.pushBlob(access, blob, counted(blob.content, onRead), { signal });
    return blob.size;
  };
  try {
    return await insistOn(deps, { host: access.host, command, prepare }, signal);
  } catch (error) {
    if (!isFailure(error, "not-found")) throw error;
    // Not as not-found: to whoever deletes a volume that would sound like done.
    throw new Failure(
      "unavailable",
      `Cannot push to ${nameOf(access)}: the registry has no such repository and makes none by itself; create it there`,
      { cause: error },
    );
  }
}

/** ORAS tells nobody how far it is. It reads no faster than it sends, but for what lies in pipes and sockets. */
async function* counted(
  content: OwnBlob["content"],
  onRead: (bytes: number) => void,
): AsyncGenerator<Uint8Array> {
  const chunks =
    typeof content === "string" ? createReadStream(content, { highWaterMark: CHUNK }) : [content];
  let bytes = 0;
  for await (const chunk of chunks) {
    yield chunk as Uint8Array;
    bytes += (chunk as Uint8Array).length;
    onRead(bytes);
  }
}

/** A registry may deny all knowledge of a repository until the first push makes it; whether it may be made, the push finds out. */
export async function heldOrUnseen(
  deps: PushDeps,
  { access, blob }: { readonly access: Access; readonly blob: BlobName },
  signal: AbortSignal,
): Promise<Held> {
  try {
    return await deps.upstream.holds(access, blob, signal);
  } catch (error) {
    if (isFailure(error, "denied")) return "none";
    throw error;
  }
}

/** ORAS sends nothing that a registry claims to have. Where it may not be deleted, the check after the push says so. */
export async function deleteBroken(
  deps: PushDeps,
  { access, blob }: { readonly access: Access; readonly blob: BlobName },
  signal: AbortSignal,
): Promise<void> {
  const remove = async () => await deps.oras.deleteBlob(access, blob.digest, { signal });
  await insist(deps, access.host, remove, signal).catch((error: unknown) => {
    if (!isFailure(error)) throw error;
  });
}
