import { randomBytes } from "node:crypto";
import zlib from "node:zlib";
import { describe, expect, it } from "vitest";
import { type Compressing, openCompressing } from "./compressing.ts";

/** The first takes long to compress, and the others no time. */
const chunks = () => [
  randomBytes(4 << 20),
  Buffer.alloc(4 << 20, "second"),
  Buffer.from("third"),
  Buffer.alloc(1 << 20),
];

async function takeAll(engine: Compressing, given: readonly Buffer[]): Promise<void> {
  await Promise.all(given.map((chunk) => engine.take(chunk)));
  await engine.end();
}

describe.each([
  ["gzip", zlib.gunzipSync],
  ["zstd", zlib.zstdDecompressSync],
] as const)("openCompressing() with %s", (compression, decompress) => {
  it("stores chunks in the order they came, whichever is compressed first, to the same bytes again", async () => {
    const given = chunks();
    const made: Buffer[] = [];
    for (let run = 0; run < 2; run++) {
      const stored: Buffer[] = [];
      using engine = openCompressing(compression, (packed) => stored.push(Buffer.from(packed)));
      await takeAll(engine, given);
      made.push(Buffer.concat(stored));
    }
    expect(decompress(made[0] ?? Buffer.alloc(0)).equals(Buffer.concat(given))).toBe(true);
    expect(made[1]?.equals(made[0] ?? Buffer.alloc(0))).toBe(true);
  });

  it("reads no chunk any more that it has taken", async () => {
    const [given, stored] = [chunks(), Array<Buffer>()];
    const whole = Buffer.concat(given);
    using engine = openCompressing(compression, (packed) => stored.push(Buffer.from(packed)));
    await Promise.all(given.map(async (chunk) => void (await engine.take(chunk), chunk.fill("x"))));
    await engine.end();
    expect(decompress(Buffer.concat(stored)).equals(whole)).toBe(true);
  });

  it("stores nothing more once something could not be stored, and says why", async () => {
    let stores = 0;
    using engine = openCompressing(compression, () => {
      stores++;
      throw new Error("the disk is full");
    });
    const taken = await Promise.allSettled(chunks().map((chunk) => engine.take(chunk)));
    await expect(engine.end()).rejects.toThrow("the disk is full");
    expect(taken.at(-1)).toMatchObject({ status: "rejected", reason: { message: "the disk is full" } });
    expect(stores).toBe(1);
  });

  it("stores nothing once it is closed: its file may be another's by then", async () => {
    let stores = 0;
    const engine = openCompressing(compression, () => stores++);
    const taking = chunks().map((chunk) => engine.take(chunk));
    engine[Symbol.dispose]();
    await Promise.allSettled(taking);
    expect(stores).toBe(0);
  });
});
