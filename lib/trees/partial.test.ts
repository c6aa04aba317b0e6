import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { digestOf } from "../core/digest.ts";
import { WriteThread } from "../host/write-thread.ts";
import { Intervals } from "./intervals.ts";
import { Partial, readPartial } from "./partial.ts";
import { chunkBytes } from "./partial-map.ts";

const source = { kind: "upstream", host: "r.example" } as const;

describe("Intervals", () => {
  it("merges what touches, and tells the gaps", () => {
    const held = new Intervals();
    held.add({ start: 10, end: 20 });
    held.add({ start: 30, end: 40 });
    expect(held.contiguous).toBe(0);
    expect(held.missing(50)).toEqual([
      { start: 0, end: 10 },
      { start: 20, end: 30 },
      { start: 40, end: 50 },
    ]);
    expect(held.add({ start: 20, end: 30 })).toEqual({ start: 10, end: 40 });
    held.add({ start: 0, end: 12 });
    expect(held.contiguous).toBe(40);
    expect(held.total).toBe(40);
    expect(held.missing(40)).toEqual([]);
  });
});

describe("Partial", () => {
  const bytes = Buffer.alloc(3 * chunkBytes + 1000, "0123456789");
  const blob = { digest: digestOf(bytes), size: bytes.length };
  let directory: string;

  beforeEach(async () => {
    directory = path.join(await mkdtemp(path.join(os.tmpdir(), "larder-partial-")), "p");
  });

  afterEach(async () => {
    await rm(path.dirname(directory), { recursive: true });
  });

  const put = (partial: Partial, start: number, end: number) =>
    partial.write(start, bytes.subarray(start, end), source);

  it("open() leaves nothing of what it could not begin, and what was there before", async () => {
    const small = { digest: digestOf("small"), size: 5 };
    const none = () => {
      throw Object.assign(new Error("EMFILE: too many open files"), { code: "EMFILE" });
    };
    const writes = { writeAt: none, hash: none };
    const options = { writes, hashes: true };
    await expect(Partial.open({ directory, boot: "b" }, small, options)).rejects.toThrow("EMFILE");
    expect(await readdir(path.dirname(directory))).toEqual([]);
    const rested = await Partial.open({ directory, boot: "b" }, small);
    await rested.write(0, Buffer.from("small"), source);
    await rested.suspend({ sync: false });
    await expect(Partial.open({ directory, boot: "b" }, small, options)).rejects.toThrow("EMFILE");
    expect((await readPartial({ directory, boot: "b" }))?.chunks).toEqual([0]);
  });

  it("claims after a crash every whole chunk that was written, and nothing else", async () => {
    const killed = await Partial.open({ directory, boot: "b" }, blob);
    await put(killed, chunkBytes, chunkBytes + 100);
    await put(killed, chunkBytes + 100, 2 * chunkBytes + 10);
    await put(killed, 3 * chunkBytes, bytes.length);
    // No suspend, no close: what is on the disk now is all that a kill leaves.
    await using again = await disposable(Partial.open({ directory, boot: "b" }, blob));
    expect(again.partial.missing()).toEqual([
      { start: 0, end: chunkBytes },
      { start: 2 * chunkBytes, end: 3 * chunkBytes },
    ]);
    expect(again.partial.feed.progress.read().bytes).toBe(0);
    await put(again.partial, 0, chunkBytes);
    expect(again.partial.feed.progress.read().bytes).toBe(2 * chunkBytes);
    await put(again.partial, 2 * chunkBytes, 3 * chunkBytes);
    expect(again.partial.missing()).toEqual([]);
    expect(Buffer.compare(await readFile(again.partial.feed.path), bytes)).toBe(0);
    await killed.close();
  });

  it("is of no use after a reboot, unless it was synced", async () => {
    const partial = await Partial.open({ directory, boot: "before" }, blob);
    await put(partial, 0, chunkBytes);
    await partial.suspend({ sync: false });
    expect(await readPartial({ directory, boot: "before" })).toMatchObject({ chunks: [0] });
    expect(await readPartial({ directory, boot: "after" })).toBeUndefined();
    const resumed = await Partial.open({ directory, boot: "before" }, blob);
    await resumed.suspend({ sync: true });
    expect(await readPartial({ directory, boot: "after" })).toMatchObject({ chunks: [0] });
    // Written on under another boot, it is again only as safe as that.
    const later = await Partial.open({ directory, boot: "after" }, blob);
    expect(later.written).toBe(chunkBytes);
    await later.close();
    expect(await readPartial({ directory, boot: "later" })).toBeUndefined();
  });

  it("begins anew over another blob's bytes, a torn map or none", async () => {
    const partial = await Partial.open({ directory, boot: "b" }, blob);
    await put(partial, 0, chunkBytes);
    await partial.suspend({ sync: false });
    for (const spoil of [
      () => Promise.resolve({ ...blob, digest: digestOf("other") }),
      async () => {
        await writeFile(path.join(directory, "map"), "{");
        return blob;
      },
      async () => {
        await rm(path.join(directory, "map"));
        return blob;
      },
    ]) {
      const again = await Partial.open({ directory, boot: "b" }, await spoil());
      expect(again.written).toBe(0);
      await again.close();
    }
  });

  it("refuses a write beyond the end of the blob", async () => {
    await using it = await disposable(Partial.open({ directory, boot: "b" }, blob));
    await expect(it.partial.write(blob.size - 1, Buffer.from("xx"), source)).rejects.toThrow(RangeError);
    await expect(it.partial.write(-1, Buffer.from("x"), source)).rejects.toThrow(RangeError);
  });

  it("leaves nothing when removed, or suspended with nothing worth keeping", async () => {
    const small = { digest: digestOf("small"), size: 5 };
    const one = await Partial.open({ directory, boot: "b" }, small);
    expect(await one.suspend({ sync: false })).toBe(0);
    expect(await readdir(path.dirname(directory))).toEqual([]);
    const two = await Partial.open({ directory, boot: "b" }, small);
    await two.write(0, Buffer.from("small"), source);
    expect(await two.suspend({ sync: false })).toBe(5);
    const three = await Partial.open({ directory, boot: "b" }, small);
    expect(three.missing()).toEqual([]);
    await three.remove();
    expect(await readdir(path.dirname(directory))).toEqual([]);
  });

  it("leaves nothing of what it did not make itself either, and takes a second removal", async () => {
    await mkdir(path.join(directory, "odd"), { recursive: true });
    const one = await Partial.open({ directory, boot: "b" }, { digest: digestOf("small"), size: 5 });
    expect(await readdir(directory)).toEqual(["data"]);
    await writeFile(path.join(directory, "odd"), "x");
    await one.remove();
    await one.remove();
    expect(await readdir(path.dirname(directory))).toEqual([]);
  });

  it("knows the digest of what was written in order, and of nothing else", async () => {
    await using writes = new WriteThread();
    const small = { digest: digestOf("small"), size: 5 };
    const options = { writes, hashes: true };
    const inOrder = await Partial.open({ directory, boot: "b" }, small, options);
    expect(inOrder.isHashed).toBe(true);
    await inOrder.write(0, Buffer.from("sma"), source);
    expect(inOrder.digest).toBeUndefined();
    await inOrder.write(3, Buffer.from("ll"), source);
    expect(inOrder.digest).toBe(small.digest);
    // Written over again: what was known of it holds no more.
    await inOrder.write(3, Buffer.from("LL"), source);
    expect(inOrder.digest).toBeUndefined();
    expect(await inOrder.suspend({ sync: false })).toBe(5);
    const resumed = await Partial.open({ directory, boot: "b" }, small, options);
    expect([resumed.missing(), resumed.digest]).toEqual([[], undefined]);
    await resumed.remove();
    const backwards = await Partial.open({ directory, boot: "b" }, small, options);
    await backwards.write(3, Buffer.from("ll"), source);
    await backwards.write(0, Buffer.from("sma"), source);
    expect([backwards.missing(), backwards.digest]).toEqual([[], undefined]);
    await backwards.remove();
  });

  it("hashes no blob of several chunks, which is read while it arrives", async () => {
    await using writes = new WriteThread();
    await using it = await disposable(Partial.open({ directory, boot: "b" }, blob, { writes, hashes: true }));
    expect(it.partial.isHashed).toBe(false);
  });
});

async function disposable(opening: Promise<Partial>) {
  const partial = await opening;
  return { partial, [Symbol.asyncDispose]: () => partial.close() };
}
