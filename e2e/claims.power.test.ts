import { mkdtempSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { tool } from "../testing/tool.ts";
import { boot } from "./machine.ts";

describe("a power loss under claims", { timeout: 7_200_000 }, () => {
  let folder: string;
  beforeEach(async () => {
    await tool("oras");
    folder = mkdtempSync(path.join(os.tmpdir(), "larder-power-"));
  }, 600_000);
  afterEach(() => rmSync(folder, { recursive: true }));

  const bootFor = (part: "before" | "after") =>
    boot({
      program: "claims-power-cut.ts",
      words: [part],
      disk: path.join(folder, "disk"),
      cutsPower: part === "before",
    });

  it("keeps what was committed, unstaged or synced, throws away what is volatile, and moves no key for what it hit", () => {
    expect(bootFor("before")).toEqual({ claims: 4 });
    expect(bootFor("after")).toEqual({
      found: 4,
      committed: true,
      unstaged: true,
      mounted: { synced: true, unsynced: false },
      volatile: [],
      // What was mounted is a version, and not its key's head.
      tags: ["committed", "committed.VERSION", "mounted.VERSION", "unstaged", "unstaged.VERSION"],
      // However far each write-back had come.
      cut: { placed: true, sent: true, tagged: true },
      errors: [],
      left: 0,
      mounts: 0,
      limited: 0,
    });
  });
});
