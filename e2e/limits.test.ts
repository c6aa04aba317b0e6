// What an administrator sees where sizes cannot be limits: loud words, or no start.
import { mkdtemp, readdir, rm } from "node:fs/promises";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { metric, page } from "./metrics.ts";
import { openPlugin } from "./plugin.ts";

describe("a node that can have no limits", () => {
  let folder: string;
  /** A pool would leave less free than that on any disk. */
  const pool = { size: "400Mi", floor: "100%" };

  beforeEach(async () => {
    // A tmpfs: no XFS, whatever the disk is.
    folder = await mkdtemp("/dev/shm/larder-limits-");
  });
  afterEach(() => rm(folder, { recursive: true }));

  it("quota: auto goes on without, and says so in the log, on /readyz and in a metric", async () => {
    await using plugin = await openPlugin({ folder, settings: { quota: "auto", pool } });
    const { status, text } = await page(plugin, "/readyz");
    expect([status, text]).toEqual([
      200,
      expect.stringMatching(/^ok\nwithout size limits: .*\(it is not XFS; /),
    ]);
    expect(text).toContain("and there is no pool: Cannot ");
    expect(await metric(plugin, "larder_limits_enforced")).toBe(0);
    const warning = plugin.log.find((line) => line.includes("are promises here and no limits"));
    expect(warning).toContain('"level":"warn"');
    expect(await readdir(plugin.root)).not.toContain("pool.xfs");
  });

  it("quota: required refuses to start, and says which conditions failed and what helps", async () => {
    const refused = openPlugin({ folder, settings: { quota: "required", pool } });
    await expect(refused).rejects.toThrow(
      /ended with 1 .*Cannot start with quota "required": .*it is not XFS; keep/s,
    );
    expect(await readdir(path.join(folder, "root"))).not.toContain("pool.xfs");
  });
});
