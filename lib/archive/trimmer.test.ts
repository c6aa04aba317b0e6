import { execFileSync } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { Scratch } from "./testing/scratch.ts";
import { openTrimmer } from "./trimmer.ts";

let scratch: Scratch;
beforeEach(() => {
  scratch = new Scratch();
});
afterEach(() => scratch[Symbol.dispose]());

const FILES = 8_000;
const never = new AbortController().signal;
const patient = { signal: never, haste: never };

function layerOf(files: number): string {
  const layer = scratch.directory();
  for (let at = 0; at < files; at++) fs.writeFileSync(path.join(layer, `${at}`), "");
  return layer;
}

const stepsFor = (files: number) => Array.from({ length: files }, (_, at) => `remove /${at}\0`).join("");

/** The trimming waits for it in the middle of a system call, as it would for a slow disk. */
function slowJournal(): { readonly journal: string; readonly pipe: string } {
  const journal = scratch.directory();
  const pipe = path.join(journal, "trim-2");
  execFileSync("mkfifo", [pipe]);
  return { journal, pipe };
}

describe("openTrimmer()", () => {
  it("trims 8,000 files in a thread, while others are answered here", async () => {
    await using trimmer = openTrimmer();
    const layer = layerOf(FILES);
    const { journal, pipe } = slowJournal();
    const order: string[] = [];
    const trimming = trimmer.trim({ layer, journal, isBegun: false }, patient).then((isWhole) => {
      order.push("trimmed");
      return isWhole;
    });
    // Were it this thread that trims, nobody would come to write the journal.
    expect(await fs.promises.readdir(layer)).toHaveLength(FILES);
    order.push("answered");
    await fs.promises.writeFile(pipe, stepsFor(FILES));
    expect(await trimming).toBe(true);
    expect(order).toEqual(["answered", "trimmed"]);
    expect(fs.readdirSync(layer)).toEqual([]);
  });

  it("goes on with another while one waits for its disk", async () => {
    await using trimmer = openTrimmer();
    const { journal, pipe } = slowJournal();
    const slow = trimmer.trim({ layer: layerOf(1), journal, isBegun: false }, patient);
    const [layer, quick] = [layerOf(3), scratch.directory()];
    fs.writeFileSync(path.join(quick, "trim-2"), stepsFor(2));
    expect(await trimmer.trim({ layer, journal: quick, isBegun: false }, patient)).toBe(true);
    expect(fs.readdirSync(layer)).toEqual(["2"]);
    await fs.promises.writeFile(pipe, stepsFor(1));
    expect(await slow).toBe(true);
  });

  it("leaves undone in haste what nobody sees, whenever that comes", async () => {
    await using trimmer = openTrimmer();
    const [layer, haste] = [layerOf(2), new AbortController()];
    const { journal, pipe } = slowJournal();
    const when = { signal: never, haste: haste.signal };
    const trimming = trimmer.trim({ layer, journal, isBegun: true }, when);
    haste.abort();
    await fs.promises.writeFile(pipe, "drop /0\0remove /1\0");
    expect(await trimming).toBe(false);
    expect(fs.readdirSync(layer)).toEqual(["1"]);
  });

  it("stops where it is when it is told to, for a later one to go on", async () => {
    await using trimmer = openTrimmer();
    const [layer, journal, stop] = [layerOf(FILES), scratch.directory(), new AbortController()];
    fs.writeFileSync(path.join(journal, "trim-2"), stepsFor(FILES));
    const job = { layer, journal, isBegun: true };
    const trimming = trimmer.trim(job, { signal: stop.signal, haste: never });
    stop.abort(new Error("the plugin stops"));
    await expect(trimming).rejects.toThrow("the plugin stops");
    expect(await trimmer.trim(job, patient)).toBe(true);
    expect(fs.readdirSync(layer)).toEqual([]);
  });

  it("names what it could not trim", async () => {
    await using trimmer = openTrimmer();
    const [layer, journal] = [scratch.directory(), scratch.directory()];
    fs.writeFileSync(path.join(journal, "trim-1"), "opaque /\0");
    fs.writeFileSync(path.join(journal, "trim-2"), "remove /a");
    const trimming = trimmer.trim({ layer, journal, isBegun: false }, patient);
    await expect(trimming).rejects.toThrow("is cut");
  });
});
