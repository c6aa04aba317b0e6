import { mkdtempSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { boot } from "./machine.ts";

describe("a power loss", { timeout: 7_200_000 }, () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(path.join(os.tmpdir(), "larder-power-"));
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  const bootFor = (part: "before" | "after") =>
    boot({
      program: "power-cut.ts",
      words: [part],
      disk: path.join(folder, "disk"),
      cutsPower: part === "before",
    });

  it("takes what was never synced, which is pulled again and never served; what was synced stays", () => {
    // Of the lost image two Layers; its Record is written while its bytes arrive, or would have been after them.
    expect(bootFor("before")).toEqual({ layers: 3, records: expect.toBeOneOf([2, 3]) });
    expect(bootFor("after")).toEqual({
      layersFound: 1,
      // The one that was synced; of the others only the names were there.
      records: 1,
      kept: { isWhole: true, isFetched: false },
      again: { isWhole: true, isFetched: false },
      lost: { isWhole: true, isFetched: true },
      errors: [],
      left: 0,
    });
  });
});
