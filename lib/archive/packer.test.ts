import { execFileSync } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { isFailure } from "../core/failure.ts";
import { openPacker } from "./packer.ts";
import { Scratch } from "./testing/scratch.ts";

let scratch: Scratch;
beforeEach(() => {
  scratch = new Scratch();
});
afterEach(() => scratch[Symbol.dispose]());

const never = { signal: new AbortController().signal };
const output = (directory = scratch.directory()) =>
  ({ directory, compression: "zstd", layerMax: 1e9 }) as const;

function tree(): string {
  const at = scratch.directory();
  fs.writeFileSync(path.join(at, "a"), "content");
  return at;
}

async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise(setImmediate);
}

describe("openPacker()", () => {
  it("packs in threads, more than there are at once in turns, to the same bytes", async () => {
    await using packer = openPacker({ threads: 2 });
    const layers = [tree()];
    const all = await Promise.all(
      Array.from({ length: 5 }, () => packer.packMerged({ layers, ...output() }, never)),
    );
    expect(new Set(all.map(({ parts }) => parts[0]?.digest)).size).toBe(1);
    const delta = await packer.packDelta(
      { upper: tree(), below: layers, kind: "overlay", compare: "content", ...output() },
      never,
    );
    expect(delta).toMatchObject({ parts: [], unchanged: 2 });
  });

  it("stops at once when it is told to, and leaves the directory alone from then on", async () => {
    await using packer = openPacker({ threads: 1 });
    const at = tree();
    fs.writeFileSync(path.join(at, "large"), Buffer.alloc(200e6, "0123456789"));
    const [cancelled, directory] = [new AbortController(), scratch.directory()];
    const packing = packer.packMerged({ layers: [at], ...output(directory) }, cancelled);
    const waiting = packer.packMerged({ layers: [at], ...output() }, cancelled);
    await until(() => fs.existsSync(path.join(directory, "part-0")));
    cancelled.abort(new Error("enough"));
    await Promise.all([packing, waiting].map((one) => expect(one).rejects.toThrow("enough")));
    fs.rmSync(directory, { recursive: true });
    const next = await packer.packMerged({ layers: [tree()], ...output() }, never);
    expect(next.entries).toBe(2);
  });

  it("ends what it packs when it is closed", async () => {
    const packer = openPacker({ threads: 1 });
    const jobs = [tree(), tree()].map((at) => packer.packMerged({ layers: [at], ...output() }, never));
    const ends = Promise.allSettled(jobs);
    await packer[Symbol.asyncDispose]();
    const settled = await ends;
    expect(settled.every((one) => one.status === "rejected" && isFailure(one.reason, "unavailable"))).toBe(
      true,
    );
  });

  it("says what the disk said", async () => {
    await using packer = openPacker({ threads: 1 });
    const small = scratch.directory();
    execFileSync("mount", ["-t", "tmpfs", "-o", "size=64k", "none", small]);
    try {
      const at = tree();
      fs.writeFileSync(path.join(at, "noise"), crypto.getRandomValues(new Uint8Array(60_000)));
      fs.copyFileSync(path.join(at, "noise"), path.join(at, "more"));
      fs.appendFileSync(path.join(at, "more"), crypto.getRandomValues(new Uint8Array(60_000)));
      const packing = packer.packMerged({ layers: [at], ...output(small) }, never);
      await expect(packing).rejects.toMatchObject({ reason: "full", message: /the file system is full/ });
    } finally {
      execFileSync("umount", [small]);
    }
  });
});
