import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { setImmediate } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { openRemover } from "./remover.ts";

let top: string;
beforeEach(() => {
  top = fs.mkdtempSync(path.join(os.tmpdir(), "larder-remover-"));
});
afterEach(() => fs.rmSync(top, { recursive: true, force: true }));

function fill(name: string, files: number): void {
  fs.mkdirSync(path.join(top, name));
  for (let at = 0; at < files; at++) fs.writeFileSync(path.join(top, name, `${at}`), "x");
}

const isThere = (name: string) => fs.existsSync(path.join(top, name));

describe("openRemover()", () => {
  it("removes without this thread, which does something else all the while", async () => {
    await using remover = openRemover();
    fill("warm", 1);
    await remover.removeTree(top, "warm");
    fill("tree", 2_000);
    const removing = remover.removeTree(top, "tree");
    await setImmediate();
    // Nothing of ours gets a turn in here.
    const sleeper = new Int32Array(new SharedArrayBuffer(4));
    for (let tries = 0; isThere("tree") && tries < 60_000; tries++) Atomics.wait(sleeper, 0, 0, 1);
    expect(isThere("tree")).toBe(false);
    await removing;
  });

  it("takes many at once, and what is not there", async () => {
    await using remover = openRemover();
    for (let at = 0; at < 20; at++) fill(`tree-${at}`, at);
    await Promise.all(Array.from({ length: 22 }, (_, at) => remover.removeTree(top, `tree-${at}`)));
    expect(fs.readdirSync(top)).toEqual([]);
  });

  it("removeTree() throws what the disk says", async () => {
    await using remover = openRemover();
    await expect(remover.removeTree(path.join(top, "none"), "tree")).rejects.toThrow("ENOENT");
  });

  it("leaves the rest for the next start when it is closed in the middle", async () => {
    const remover = openRemover();
    fill("tree", 2_000);
    const removing = remover.removeTree(top, "tree");
    await remover[Symbol.asyncDispose]();
    await removing;
    await using next = openRemover();
    await next.removeTree(top, "tree");
    expect(fs.readdirSync(top)).toEqual([]);
  });
});
