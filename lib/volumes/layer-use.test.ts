import { describe, expect, it } from "vitest";
import { digestOf } from "../core/digest.ts";
import { LayerUse } from "./layer-use.ts";

const layer = digestOf("layer");
const notBase = () => false;

describe("LayerUse", () => {
  it("trim() leaves alone what somebody begins to start from, until that is over", async () => {
    const use = new LayerUse();
    const trims: string[] = [];
    const trim = async () => trims.push("trim") > 0;
    const starts = [await use.start([layer]), await use.start([layer])];
    for (const start of starts) {
      expect(await use.trim(layer, notBase, trim)).toBe(false);
      start[Symbol.dispose]();
      start[Symbol.dispose]();
    }
    expect(await use.trim(layer, notBase, trim)).toBe(true);
    expect(trims).toEqual(["trim"]);
  });

  it("trim() joins the one that is under way", async () => {
    const use = new LayerUse();
    const { promise, resolve } = Promise.withResolvers<boolean>();
    const first = use.trim(layer, notBase, () => promise);
    const second = use.trim(layer, notBase, () => Promise.reject(new Error("twice at once")));
    resolve(true);
    expect(await Promise.all([first, second])).toEqual([true, true]);
  });

  it("trim() leaves alone what a claim is based on", async () => {
    const trim = () => Promise.reject(new Error("it was trimmed"));
    expect(await new LayerUse().trim(layer, () => true, trim)).toBe(false);
  });

  it("start() hastens a trimming that is under way", async () => {
    const use = new LayerUse();
    const { promise, resolve } = Promise.withResolvers<boolean>();
    const trimming = use.trim(layer, notBase, (haste) => {
      haste.addEventListener("abort", () => resolve(false));
      return promise;
    });
    const start = await use.start([layer]);
    expect(await trimming).toBe(false);
    start[Symbol.dispose]();
  });

  it("untrimmed() waits for a trimming however that ends, and for nothing else", async () => {
    const use = new LayerUse();
    await use.untrimmed(layer);
    const { promise, reject } = Promise.withResolvers<boolean>();
    const steps: string[] = [];
    const trimming = use.trim(layer, notBase, () => promise).catch(() => steps.push("failed"));
    const waiting = use.untrimmed(layer).then(() => steps.push("over"));
    await Promise.resolve();
    expect(steps).toEqual([]);
    reject(new Error("the disk"));
    await Promise.all([trimming, waiting]);
    expect(steps.toSorted()).toEqual(["failed", "over"]);
  });

  it("start() waits for a trimming that is under way, even one that fails", async () => {
    const use = new LayerUse();
    const { promise, reject } = Promise.withResolvers<boolean>();
    const steps: string[] = [];
    const trimming = use.trim(layer, notBase, () => promise).catch(() => steps.push("trimmed"));
    const starting = use.start([layer]).then(() => steps.push("started"));
    await Promise.resolve();
    expect(steps).toEqual([]);
    reject(new Error("the disk"));
    await Promise.all([trimming, starting]);
    expect(steps.toSorted()).toEqual(["started", "trimmed"]);
  });
});
