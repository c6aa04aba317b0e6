// An unpacker for tests: a layer is a JSON object of paths and contents, taken whole once its digest held.
import { mkdir, readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import type { Feed, Unpacked, Unpacker, UnpackJob, UnpackOptions } from "../../archive/unpacker.ts";
import { digestOf } from "../../core/digest.ts";
import { Failure } from "../../core/failure.ts";

export type TwinLayer = {
  readonly files: Readonly<Record<string, string>>;
  readonly implied?: readonly string[];
};

export const twinLayer = (layer: TwinLayer): Uint8Array => Buffer.from(JSON.stringify(layer));

export class UnpackerTwin implements Unpacker {
  unpacked = 0;
  verified = 0;
  /** Asked for, beyond what the files hold, as a bomb would. */
  extraBytes = 0;

  async unpack({ feed, directory }: UnpackJob, { signal, room }: UnpackOptions): Promise<Unpacked> {
    const bytes = await wholeOf(feed, signal);
    const { files, implied = [] } = JSON.parse(bytes.toString("utf8")) as TwinLayer;
    const total = Object.values(files).reduce((sum, text) => sum + text.length, 0);
    await room(total + this.extraBytes);
    for (const [name, text] of Object.entries(files)) {
      await mkdir(path.join(directory, path.dirname(name)), { recursive: true });
      await writeFile(path.join(directory, name), text);
    }
    this.unpacked++;
    const unsettled = { implied, links: [], whiteouts: [], opaques: [] };
    return { bytes: total, inodes: Object.keys(files).length, unsettled };
  }

  async verify(feed: Feed, signal: AbortSignal): Promise<void> {
    this.verified++;
    await wholeOf(feed, signal);
  }

  async [Symbol.asyncDispose](): Promise<void> {}
}

async function wholeOf({ progress, path, digest }: Feed, signal: AbortSignal): Promise<Buffer> {
  signal.addEventListener("abort", () => progress.wake(), { once: true });
  for (;;) {
    signal.throwIfAborted();
    const { bytes, state } = progress.read();
    if (state === "aborted") throw new Failure("unavailable", "the bytes will not come");
    if (state === "ended") break;
    await progress.changed(bytes);
  }
  const bytes = await readFile(path);
  if (digestOf(bytes) !== digest) throw new Failure("corrupt", `${digest} has other bytes`);
  return bytes;
}
