// csi-sanity against the door, over claims that are remembered in memory.
import { mkdir } from "node:fs/promises";
import path from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { runSanity, unmetIn } from "../testing/sanity.ts";
import { tool } from "../testing/tool.ts";
import { openTestDoor, PLATE } from "./testing/door.ts";
import { MemoryClaims } from "./testing/memory-claims.ts";

/** How many specs of the suite test what we report. */
const REPORTED = 51;

describe("csi-sanity", () => {
  beforeAll(() => tool("csi-sanity"), 600_000);

  it("passes whole, nothing left out that is called for by what we report", async () => {
    await using door = await openTestDoor(new MemoryClaims(PLATE.driver, PLATE.node));
    const directory = path.join(door.directory, "sanity");
    await mkdir(directory);
    const specs = await runSanity({
      socket: door.socket,
      directory,
      parameters: { cache: "sanity" },
      mutable: { policy: "pull" },
      secrets: { username: "acme", password: "sanity-pass-word" },
    });
    expect(unmetIn(specs)).toEqual([]);
    const passed = specs.filter(({ state }) => state === "passed").map(({ name }) => name);
    expect(passed.length).toBe(REPORTED);
    expect(passed).toContain("Node Service should be idempotent");
    expect(JSON.stringify(door.lines)).not.toContain("sanity-pass-word");
  });
});
