import { mkdtemp, open, readFile, rm } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { digestOf } from "../core/digest.ts";
import { WriteThread } from "./write-thread.ts";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(path.join(os.tmpdir(), "larder-write-"));
});
afterEach(async () => await rm(folder, { recursive: true }));

describe("WriteThread", () => {
  it("writeAt() puts bytes where they belong, in whatever order and size they come", async () => {
    await using thread = new WriteThread();
    await using file = await open(path.join(folder, "file"), "w+");
    const content = Buffer.from(Array.from({ length: 100_001 }, (_, index) => index % 251));
    const cuts = [70_000, 3, 0, 16_384, 99_999];
    const sorted = [...cuts, content.length].sort((a, b) => a - b);
    await Promise.all(
      cuts.map(async (from) => {
        const to = sorted[sorted.indexOf(from) + 1];
        await thread.writeAt(file.fd, from, content.subarray(from, to));
      }),
    );
    expect((await readFile(path.join(folder, "file"))).equals(content)).toBe(true);
  });

  it("writeAt() takes shared memory, which may be used again once it resolved", async () => {
    await using thread = new WriteThread();
    await using file = await open(path.join(folder, "file"), "w+");
    const bytes = Buffer.from(new SharedArrayBuffer(20_000));
    for (const [at, value] of [1, 2, 3].entries())
      await thread.writeAt(file.fd, at * 20_000, bytes.fill(value));
    const written = await readFile(path.join(folder, "file"));
    expect([written[0], written[19_999], written[20_000], written[59_999]]).toEqual([1, 1, 2, 3]);
  });

  it("writeAt() rejects with the call's code, and the next one is none the worse", async () => {
    await using thread = new WriteThread();
    await using full = await open("/dev/full", "w");
    await using file = await open(path.join(folder, "file"), "w+");
    const refused = thread.writeAt(full.fd, 0, Buffer.from("lost"));
    const fine = thread.writeAt(file.fd, 0, Buffer.from("kept"));
    await expect(refused).rejects.toMatchObject({ code: "ENOSPC" });
    await fine;
    expect(await readFile(path.join(folder, "file"), "utf8")).toBe("kept");
  });

  it("hash() tells the digest of a file as soon as it is written, from shared memory too", async () => {
    await using thread = new WriteThread();
    await using one = await open(path.join(folder, "one"), "w+");
    await using two = await open(path.join(folder, "two"), "w+");
    using first = thread.hash(one.fd, 40_000);
    using second = thread.hash(two.fd, 3);
    const bytes = Buffer.from(new SharedArrayBuffer(20_000));
    await first.writeAt(0, bytes.fill(1));
    await second.writeAt(0, Buffer.from("two"));
    expect(first.digest).toBeUndefined();
    await first.writeAt(20_000, bytes.fill(2));
    expect(first.digest).toBe(digestOf(await readFile(path.join(folder, "one"))));
    expect(second.digest).toBe(digestOf("two"));
  });

  it("hash() tells none when a write failed, when the thread was ended meanwhile, or once disposed of", async () => {
    await using thread = new WriteThread({ idleMs: 1 });
    await using full = await open("/dev/full", "w");
    await using file = await open(path.join(folder, "file"), "w+");
    using failed = thread.hash(full.fd, 2);
    await expect(failed.writeAt(0, Buffer.from("x"))).rejects.toMatchObject({ code: "ENOSPC" });
    using paused = thread.hash(file.fd, 2);
    await paused.writeAt(0, Buffer.from("x"));
    await expect.poll(() => thread.running).toBe(false);
    await paused.writeAt(1, Buffer.from("y"));
    const given = thread.hash(file.fd, 2);
    await given.writeAt(0, Buffer.from("x"));
    given[Symbol.dispose]();
    await given.writeAt(1, Buffer.from("y"));
    expect([failed.digest, paused.digest, given.digest]).toEqual([undefined, undefined, undefined]);
    expect(await readFile(path.join(folder, "file"), "utf8")).toBe("xy");
  });

  it("is ended when there is nothing to write for a while, and begun again", async () => {
    await using thread = new WriteThread({ idleMs: 1 });
    await using file = await open(path.join(folder, "file"), "w+");
    for (const offset of [0, 1]) {
      await thread.writeAt(file.fd, offset, Buffer.from("x"));
      await expect.poll(() => thread.running).toBe(false);
    }
    expect(await readFile(path.join(folder, "file"), "utf8")).toBe("xx");
  });

  it("[Symbol.asyncDispose]() rejects what was not written, and what comes after", async () => {
    const thread = new WriteThread();
    await using file = await open(path.join(folder, "file"), "w+");
    const late = thread.writeAt(file.fd, 0, Buffer.from("late")).catch((error: unknown) => error);
    await thread[Symbol.asyncDispose]();
    await late;
    await expect(thread.writeAt(file.fd, 0, Buffer.from("x"))).rejects.toThrow("was closed");
  });
});
