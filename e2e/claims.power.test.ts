import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { tool } from "../testing/tool.ts";

const top = path.resolve(import.meta.dirname, "..");

describe("a power loss under claims", { timeout: 1_200_000 }, () => {
  let folder: string;
  beforeEach(async () => {
    await tool("oras");
    folder = mkdtempSync(path.join(os.tmpdir(), "larder-power-"));
  }, 600_000);
  afterEach(() => rmSync(folder, { recursive: true }));

  function boot(part: "before" | "after", ...options: readonly string[]): unknown {
    const disk = ["--keep-disk", path.join(folder, "disk"), "--disk", "1G"];
    const program = [process.execPath, path.join(top, "e2e", "claims-power-cut.ts"), part];
    const run = spawnSync(path.join(top, "tools", "vm"), [...disk, ...options, "--", ...program], {
      cwd: top,
      encoding: "utf8",
    });
    expect({ status: run.status, stderr: run.stderr }).toEqual({ status: 0, stderr: "" });
    return JSON.parse(run.stdout);
  }

  it("keeps what was committed, unstaged or synced, throws away what is volatile, and moves no key for what it hit", () => {
    expect(boot("before", "--kill-on-exit")).toEqual({ claims: 4 });
    expect(boot("after")).toEqual({
      found: 4,
      committed: true,
      unstaged: true,
      mounted: { synced: true, unsynced: false },
      volatile: [],
      // What was mounted is a version, and not its key's head.
      tags: ["committed", "committed.VERSION", "mounted.VERSION", "unstaged", "unstaged.VERSION"],
      errors: [],
      left: 0,
      mounts: 0,
      limited: 0,
    });
  });
});
