import { describe, expect, it } from "vitest";
import { digestOf } from "../core/digest.ts";
import { LayerUse } from "./layer-use.ts";

const layer = digestOf("layer");
const notBase = () => false;

describe("LayerUse", () => {
  it("trim() leaves alone what somebody begins to start from, until that is over", async () => {
    const use = new LayerUse();
    const trims: string[] = [];
    const trim = async () => void trims.push("trim");
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
    const { promise, resolve } = Promise.withResolvers<void>();
    const first = use.trim(layer, notBase, () => promise);
    const second = use.trim(layer, notBase, () => Promise.reject(new Error("twice at once")));
    resolve();
    expect(await Promise.all([first, second])).toEqual([true, true]);
  });

  it("trim() leaves alone what a claim is based on", async () => {
    const trim = () => Promise.reject(new Error("it was trimmed"));
    expect(await new LayerUse().trim(layer, () => true, trim)).toBe(false);
  });

  it("start() waits for a trimming that is under way, even one that fails", async () => {
    const use = new LayerUse();
    const { promise, reject } = Promise.withResolvers<void>();
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
