import { writeSync } from "node:fs";
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { digestOf } from "../core/digest.ts";
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

  const write = async (partial: Partial, offset: number, text: string | Uint8Array, digest?: string) => {
    const piece = Buffer.from(text);
    writeSync(partial.into, piece, 0, piece.length, offset);
    await partial.wrote({ start: offset, end: offset + piece.length }, source, digest);
  };
  const put = (partial: Partial, start: number, end: number) =>
    write(partial, start, bytes.subarray(start, end));

  it("open() leaves nothing of what it could not begin, and what was there before", async () => {
    const small = { digest: digestOf("small"), size: 5 };
    const options = {
      get hashes(): boolean {
        throw Object.assign(new Error("EMFILE: too many open files"), { code: "EMFILE" });
      },
    };
    await expect(Partial.open({ directory, boot: "b" }, small, options)).rejects.toThrow("EMFILE");
    expect(await readdir(path.dirname(directory))).toEqual([]);
    const rested = await Partial.open({ directory, boot: "b" }, small);
    await write(rested, 0, "small");
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
    const end = blob.size + 1;
    await expect(it.partial.wrote({ start: blob.size - 1, end }, source)).rejects.toThrow(RangeError);
    await expect(it.partial.wrote({ start: -1, end: 1 }, source)).rejects.toThrow(RangeError);
  });

  it("leaves nothing when removed, or suspended with nothing worth keeping", async () => {
    const small = { digest: digestOf("small"), size: 5 };
    const one = await Partial.open({ directory, boot: "b" }, small);
    expect(await one.suspend({ sync: false })).toBe(0);
    expect(await readdir(path.dirname(directory))).toEqual([]);
    const two = await Partial.open({ directory, boot: "b" }, small);
    await write(two, 0, "small");
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

  it("knows the digest of what was hashed on its way, until something is written over it", async () => {
    const small = { digest: digestOf("small"), size: 5 };
    const partial = await Partial.open({ directory, boot: "b" }, small, { hashes: true });
    expect(partial.hashes).toBe(true);
    await write(partial, 0, "sma");
    expect(partial.digest).toBeUndefined();
    await write(partial, 3, "ll", small.digest);
    expect(partial.digest).toBe(small.digest);
    await write(partial, 3, "LL");
    expect(partial.digest).toBeUndefined();
    expect(await partial.suspend({ sync: false })).toBe(5);
    const resumed = await Partial.open({ directory, boot: "b" }, small, { hashes: true });
    expect([resumed.missing(), resumed.digest]).toEqual([[], undefined]);
    await resumed.remove();
  });

  it("has no blob of several chunks hashed, which is read while it arrives", async () => {
    await using it = await disposable(Partial.open({ directory, boot: "b" }, blob, { hashes: true }));
    expect(it.partial.hashes).toBe(false);
  });
});

async function disposable(opening: Promise<Partial>) {
  const partial = await opening;
  return { partial, [Symbol.asyncDispose]: () => partial.close() };
}
