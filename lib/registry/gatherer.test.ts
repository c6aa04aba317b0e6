import { describe, expect, it } from "vitest";
import { type Borrowed, Gatherer } from "./gatherer.ts";

/** Lends buffers of four bytes, and knows how many are out. */
function setUp(write?: () => Promise<void>) {
  const writes: [number, string][] = [];
  let lent = 0;
  const gatherer = new Gatherer({
    take: async (): Promise<Borrowed> => {
      lent += 1;
      return {
        bytes: Buffer.alloc(4),
        [Symbol.dispose]: () => {
          lent -= 1;
        },
      };
    },
    write: async (offset, chunk) => {
      await write?.();
      writes.push([offset, Buffer.from(chunk).toString()]);
    },
  });
  return { gatherer, writes, lent: () => lent };
}

describe("Gatherer", () => {
  it("put() gathers what follows, and begins anew where there is a gap", async () => {
    const { gatherer, writes, lent } = setUp();
    await gatherer.put(10, Buffer.from("ab"));
    await gatherer.put(12, Buffer.from("cdefg"));
    await gatherer.put(30, Buffer.from("x"));
    await gatherer.flush();
    expect(writes).toEqual([
      [10, "abcd"],
      [14, "efg"],
      [30, "x"],
    ]);
    expect(lent()).toBe(0);
  });

  it("put() fails with the write before it, and every buffer comes back", async () => {
    const { gatherer, lent } = setUp(async () => {
      throw new Error("no space left");
    });
    const put = async () => {
      for (let at = 0; at < 40; at += 4) await gatherer.put(at, Buffer.from("abcd"));
    };
    await expect(put()).rejects.toThrow("no space left");
    await expect(gatherer.flush()).rejects.toThrow("no space left");
    await gatherer[Symbol.asyncDispose]();
    expect(lent()).toBe(0);
  });

  it("[Symbol.asyncDispose]() waits for the write that reads from its buffer", async () => {
    const gate = Promise.withResolvers<void>();
    const { gatherer, writes, lent } = setUp(() => gate.promise);
    await gatherer.put(0, Buffer.from("abcdef"));
    expect(lent()).toBe(2);
    const disposed = gatherer[Symbol.asyncDispose]();
    gate.resolve();
    await disposed;
    expect(writes).toEqual([[0, "abcd"]]);
    expect(lent()).toBe(0);
  });
});
