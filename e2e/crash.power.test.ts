import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";

const top = path.resolve(import.meta.dirname, "..");

describe("a power loss", { timeout: 1_200_000 }, () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(path.join(os.tmpdir(), "larder-power-"));
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  function boot(part: "before" | "after", ...options: readonly string[]): unknown {
    const disk = ["--keep-disk", path.join(folder, "disk"), "--disk", "1G"];
    const program = [process.execPath, path.join(top, "e2e", "power-cut.ts"), part];
    const run = spawnSync(path.join(top, "tools", "vm"), [...disk, ...options, "--", ...program], {
      cwd: top,
      encoding: "utf8",
    });
    expect({ status: run.status, stderr: run.stderr }).toEqual({ status: 0, stderr: "" });
    return JSON.parse(run.stdout);
  }

  it("takes what was never synced, which is pulled again and never served; what was synced stays", () => {
    // Of the lost image two Layers; its Record was not written yet.
    expect(boot("before", "--kill-on-exit")).toEqual({ layers: 3, records: 2 });
    expect(boot("after")).toEqual({
      layersFound: 1,
      // The one that was synced; of the other only the name was there.
      records: 1,
      kept: { isWhole: true, isFetched: false },
      again: { isWhole: true, isFetched: false },
      lost: { isWhole: true, isFetched: true },
      errors: [],
      left: 0,
    });
  });
});
