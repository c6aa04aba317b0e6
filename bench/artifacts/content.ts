// Bytes that are the same on every machine: text that compresses as sources do, and noise that does not compress.
import { createCipheriv } from "node:crypto";

const POOL_BYTES = 24 << 20;

/** Numbers in [0, 1), always the same ones for a seed (xorshift32). */
export function seeded(seed: number): () => number {
  let state = seed | 0 || 1;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) / 2 ** 32;
  };
}

/** Incompressible, as fast as the processor's AES. */
export function* noise(seed: number, bytes: number, chunkBytes = 1 << 20): Generator<Buffer> {
  const key = Buffer.alloc(16, `larder ${seed}`);
  const cipher = createCipheriv("aes-128-ctr", key, Buffer.alloc(16));
  const zeros = Buffer.alloc(Math.min(chunkBytes, bytes));
  for (let left = bytes; left > 0; left -= zeros.length)
    yield cipher.update(left < zeros.length ? zeros.subarray(0, left) : zeros);
}

export type Pools = { readonly text: Buffer; readonly noise: Buffer };

/** What files are cut from. */
export function makePools(): Pools {
  const random = seeded(7);
  const text = Buffer.alloc(POOL_BYTES);
  const words = Array.from({ length: 6_000 }, () => makeWord(random));
  for (let at = 0; at < text.length; ) at += text.write(makeLine(random, words), at, "latin1");
  return { text, noise: Buffer.concat([...noise(11, POOL_BYTES)]) };
}

/** A file's content: three quarters of all are text. */
export function cut(pools: Pools, random: () => number, bytes: number): Buffer {
  const pool = random() < 0.75 ? pools.text : pools.noise;
  const from = Math.floor(random() * (pool.length - bytes));
  return pool.subarray(from, from + bytes);
}

function makeWord(random: () => number): string {
  const syllables = ["ta", "re", "lo", "mi", "con", "sta", "fe", "ar", "in", "der", "up", "ly", "ex", "ob"];
  const length = 1 + Math.floor(random() * 4);
  return Array.from({ length }, () => syllables[Math.floor(random() * syllables.length)]).join("");
}

function makeLine(random: () => number, words: readonly string[]): string {
  // The square makes some words much more frequent than others, as in any text.
  const word = () => words[Math.floor(random() ** 2 * words.length)] ?? "";
  const number = Math.floor(random() * 10_000);
  const kinds = [
    () => `  const ${word()} = ${word()}(${word()}, ${number});\n`,
    () => `    if (${word()}.${word()} !== ${word()}) return ${word()}.${word()};\n`,
    () => `  // ${word()} ${word()} ${word()} ${word()} ${word()} ${word()}\n`,
    () => `  "${word()}": { "${word()}": "${word()}-${number}", "${word()}": ${random() < 0.5} },\n`,
    () => `export function ${word()}(${word()}: ${word()}): ${word()} {\n`,
    () => "}\n\n",
  ];
  return kinds[Math.floor(random() * kinds.length)]?.() ?? "\n";
}
