import fs from "node:fs";
import zlib from "node:zlib";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { file, hardlink, pax, tar } from "../../testing/tar-bytes.ts";
import { digestOf } from "../core/digest.ts";
import { Failure } from "../core/failure.ts";
import { FeedProgress } from "./feed-progress.ts";
import { openUnpacker } from "./open-unpacker.ts";
import { Scratch, treeOf } from "./testing/scratch.ts";

let scratch: Scratch;
beforeEach(() => {
  scratch = new Scratch();
});
afterEach(() => scratch[Symbol.dispose]());

const blob = tar(file("a", Buffer.alloc(100_000, "a")), file("b", "2"));
const content = { a: "file 644 100000", b: "file 644 1" };
const options = () => ({ signal: new AbortController().signal, room: async () => {} });

function threads(): number {
  const isWorker = (task: string) => {
    try {
      return fs.readFileSync(`/proc/self/task/${task}/comm`, "utf8").includes("WorkerThread");
    } catch {
      // It ended meanwhile.
      return false;
    }
  };
  return fs.readdirSync("/proc/self/task").filter(isWorker).length;
}

async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise(setImmediate);
}

describe("openUnpacker()", () => {
  it("unpacks in a thread, and starts none before it must", async () => {
    const before = threads();
    await using unpacker = openUnpacker({ threads: 2 });
    expect(threads()).toBe(before);
    const job = scratch.job(zlib.gzipSync(blob), { compression: "gzip", diffId: digestOf(blob) });
    const { unsettled, inodes } = await unpacker.unpack(job, options());
    expect(treeOf(job.directory)).toEqual(content);
    expect(unsettled.implied).toEqual([""]);
    expect(inodes).toBe(3);
  });

  it("unpacks layers that wait for bytes and layers that have them at once, whatever the threads", async () => {
    await using unpacker = openUnpacker({ threads: 1 });
    const waiting = Array.from({ length: 5 }, () => {
      const progress = new FeedProgress();
      return { progress, job: scratch.job(blob, { feed: scratch.feed(blob, digestOf(blob), progress) }) };
    });
    const unpacking = waiting.map(({ job }) => unpacker.unpack(job, options()));
    const ready = scratch.job(blob);
    await unpacker.unpack(ready, options());
    expect(treeOf(ready.directory)).toEqual(content);
    for (const { progress } of waiting) progress.advance(blob.length);
    await Promise.all(unpacking);
    for (const { job } of waiting) expect(treeOf(job.directory)).toEqual(content);
  });

  it("lets two layers of one blob follow one feed", async () => {
    await using unpacker = openUnpacker({ threads: 2 });
    const feed = scratch.feed(blob, digestOf(blob), new FeedProgress());
    const jobs = [scratch.job(blob, { feed }), scratch.job(blob, { feed })];
    const unpacking = jobs.map((job) => unpacker.unpack(job, options()));
    feed.progress.advance(blob.length);
    await Promise.all(unpacking);
    for (const { directory } of jobs) expect(treeOf(directory)).toEqual(content);
  });

  it("says which layer it cannot unpack, and goes on with others", async () => {
    await using unpacker = openUnpacker({ threads: 1 });
    const bad = tar(file("../x", ""));
    const failure = await unpacker.unpack(scratch.job(bad), options()).catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(Failure);
    expect(failure).toMatchObject({
      reason: "invalid",
      message: expect.stringContaining(`Cannot unpack the layer ${digestOf(bad)}: its entry "../x" has ".."`),
    });
    await unpacker.unpack(scratch.job(blob), options());
  });

  it("verify() holds a file against its digest while it grows", async () => {
    await using unpacker = openUnpacker({ threads: 1 });
    const { signal } = new AbortController();
    const feed = scratch.feed(blob, digestOf(blob), new FeedProgress());
    const verifying = unpacker.verify(feed, signal);
    feed.progress.advance(1000);
    feed.progress.advance(blob.length);
    await verifying;
    await expect(unpacker.verify(scratch.feed(blob, digestOf("other")), signal)).rejects.toMatchObject({
      reason: "corrupt",
      message: expect.stringContaining(`Cannot use the file ${digestOf("other")}: its bytes have the digest`),
    });
  });

  it("ends with what the room was refused with, and only once nothing is written any more", async () => {
    await using unpacker = openUnpacker({ threads: 1 });
    const job = scratch.job(tar(file("big", Buffer.alloc(8 << 20, 1))));
    const refused = new Failure("full", "no room for it");
    await expect(unpacker.unpack(job, { ...options(), room: () => Promise.reject(refused) })).rejects.toBe(
      refused,
    );
    expect(treeOf(job.directory)).toEqual({});
    fs.rmdirSync(job.directory);
  });

  it("stops when it is cancelled: before, while it waits for bytes, and while it waits for room", async () => {
    await using unpacker = openUnpacker({ threads: 1 });
    const reason = new Error("nobody wants it any more");
    const aborted = AbortSignal.abort(reason);
    await expect(unpacker.unpack(scratch.job(blob), { ...options(), signal: aborted })).rejects.toBe(reason);

    const bytes = new AbortController();
    const feed = scratch.feed(blob, digestOf(blob), new FeedProgress());
    const waiting = unpacker.unpack(scratch.job(blob, { feed }), { ...options(), signal: bytes.signal });
    await unpacker.unpack(scratch.job(blob), options());
    bytes.abort(reason);
    await expect(waiting).rejects.toBe(reason);

    const space = new AbortController();
    const never = Promise.withResolvers<void>();
    const room = async () => {
      space.abort(reason);
      await never.promise;
    };
    await expect(unpacker.unpack(scratch.job(blob), { signal: space.signal, room })).rejects.toBe(reason);
    never.resolve();
    await unpacker.unpack(scratch.job(blob), options());
  });

  it("ends threads that have had nothing to do, and starts others when there is", async () => {
    const before = threads();
    await using unpacker = openUnpacker({ threads: 2, idleMs: 1 });
    const feed = scratch.feed(blob, digestOf(blob), new FeedProgress());
    const waiting = unpacker.unpack(scratch.job(blob, { feed }), options());
    await until(() => threads() === before + 1);
    feed.progress.advance(blob.length);
    await waiting;
    await until(() => threads() === before);
    const job = scratch.job(blob);
    await unpacker.unpack(job, options());
    expect(treeOf(job.directory)).toEqual(content);
  });

  it("tells of a thread that ended in the middle, and goes on with a fresh one", async () => {
    await using unpacker = openUnpacker({ threads: 1 });
    const feed = scratch.feed(blob, digestOf(blob), new FeedProgress());
    const running = unpacker.unpack(scratch.job(blob, { feed }), options());
    const told = expect(running).rejects.toMatchObject({ reason: "unavailable" });
    await unpacker[Symbol.asyncDispose]();
    await told;
    await unpacker.unpack(scratch.job(blob), options());
  });

  it("ends a layer that needs more memory than one may, and goes on with a fresh thread", async () => {
    await using unpacker = openUnpacker({ threads: 1 });
    const target = "t/".repeat(15_000);
    const entries = Array.from({ length: 6000 }, (_, at) =>
      Buffer.concat([pax([["linkpath", `${at}/${target}`]]), hardlink(`${at}`, "x")]),
    );
    const bomb = zlib.zstdCompressSync(tar(...entries));
    await expect(
      unpacker.unpack(scratch.job(bomb, { compression: "zstd" }), options()),
    ).rejects.toMatchObject({
      reason: "unsupported",
      message: expect.stringContaining("more memory"),
    });
    await unpacker.unpack(scratch.job(blob), options());
  });

  it("tells of a bug as a bug, with its stack", async () => {
    await using unpacker = openUnpacker({ threads: 1 });
    const missing = scratch.job(blob, { directory: `${scratch.path}/none` });
    const error = await unpacker.unpack(missing, options()).catch((error: unknown) => error);
    expect(error).not.toBeInstanceOf(Failure);
    expect((error as Error).message).toContain("ENOENT");
    await unpacker.unpack(scratch.job(blob), options());
  });

  it("leaves no descriptor open, whatever happened", async () => {
    const open = () =>
      fs
        .readdirSync("/proc/self/fd")
        .map((fd) => {
          try {
            return fs.readlinkSync(`/proc/self/fd/${fd}`);
          } catch {
            return "";
          }
        })
        .filter((target) => target.includes("larder-archive-"));
    await using unpacker = openUnpacker({ threads: 1 });
    const gzip = zlib.gzipSync(
      tar(file("a", Buffer.alloc(4 << 20)), file("../x", ""), file("b", Buffer.alloc(4 << 20))),
    );
    for (const job of [
      scratch.job(tar(file("a", ""), file("../x", ""))),
      scratch.job(gzip, { compression: "gzip" }),
      scratch.job(gzip.subarray(0, gzip.length - 20), { compression: "gzip" }),
    ])
      await expect(unpacker.unpack(job, options())).rejects.toBeInstanceOf(Failure);
    await unpacker.unpack(scratch.job(blob), options());
    await until(() => open().length === 0);
  });
});
