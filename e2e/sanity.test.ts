// csi-sanity, whole, against the real process and real mounts.
import { mkdir } from "node:fs/promises";
import path from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { runSanity, unmetIn } from "../testing/sanity.ts";
import { tool } from "../testing/tool.ts";
import { mountsUnder } from "./mounts.ts";
import { openPlugin } from "./plugin.ts";
import { kept, nothingLeft } from "./remains.ts";

describe("csi-sanity against the plugin", () => {
  beforeAll(() => tool("csi-sanity"), 600_000);

  it("passes whole, and leaves nothing", { timeout: 1_200_000 }, async () => {
    await using plugin = await openPlugin();
    const directory = path.join(plugin.folder, "sanity");
    await mkdir(directory);
    const specs = await runSanity({
      socket: plugin.socket,
      directory,
      sizeBytes: 64 * 2 ** 20,
      mutable: { policy: "pull" },
      secrets: { username: "acme", password: "sanity-pass-word" },
    });
    expect(unmetIn(specs)).toEqual([]);
    const passed = specs.filter(({ state }) => state === "passed").map(({ name }) => name);
    expect(passed.length).toBeGreaterThanOrEqual(51);
    expect(passed).toContain("Node Service should be idempotent");
    expect(plugin.log.join("\n")).not.toContain("sanity-pass-word");
    await nothingLeft(plugin);
    for (const folder of ["claims", "volumes", "layers"]) expect(await kept(plugin, folder)).toEqual([]);
    expect(await mountsUnder(directory)).toEqual([]);
  });
});
