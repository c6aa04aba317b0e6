// csi-sanity against the real process, but for what needs claims, which its door does not offer yet.
import { mkdir } from "node:fs/promises";
import path from "node:path";
import { describe, expect, it } from "vitest";
import { runSanity } from "../testing/sanity.ts";
import { openPlugin } from "./plugin.ts";

/** Left out by name: the suite runs them whatever a driver reports. */
const NEEDS_CLAIMS = [
  "[Controller Server]",
  "NodeUnpublishVolume should remove target path",
  "NodeGetVolumeStats should fail when volume does not exist on the specified path",
];

describe("csi-sanity against the plugin", () => {
  it("passes, but for the specs that create volumes, named one by one", { timeout: 600_000 }, async () => {
    await using plugin = await openPlugin();
    const directory = path.join(plugin.folder, "sanity");
    await mkdir(directory);
    const specs = await runSanity({ socket: plugin.socket, directory, sizeBytes: 64 * 2 ** 20 });
    const isLeftOut = (name: string) => NEEDS_CLAIMS.some((part) => name.includes(part));
    for (const part of NEEDS_CLAIMS) {
      const named = specs.filter(({ name }) => name.includes(part)).length;
      console.log(`csi-sanity: ${named} left out by "${part}": claims are not offered yet`);
      expect(named, `"${part}" names no spec any more`).toBeGreaterThan(0);
    }
    const rest = specs.filter(({ name }) => !isLeftOut(name));
    expect(rest.filter(({ state }) => state === "failed" || state === "pending")).toEqual([]);
    // The suite skips what the driver does not report; anything else it skipped would be a hole.
    const skipped = rest.filter(({ state }) => state === "skipped");
    expect(skipped.filter(({ why }) => !/not supported|not provided|does not have/.test(why))).toEqual([]);
    const passed = rest.filter(({ state }) => state === "passed");
    expect(passed.map(({ name }) => name)).toContain(
      "Node Service NodeGetVolumeStats should fail when volume is not found",
    );
    expect(passed.length).toBeGreaterThanOrEqual(13);
  });
});
