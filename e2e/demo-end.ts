// The end of the story: everything is taken down, and what is left is counted.
import { spawnSync } from "node:child_process";
import path from "node:path";
import { say, step } from "./demo-voice.ts";
import { mountsUnder } from "./mounts.ts";
import type { Plugin } from "./plugin.ts";
import type { PodVolume } from "./volume.ts";

export async function takeDown(plugin: Plugin, volumes: readonly PodVolume[]): Promise<void> {
  say("\nEverything is taken down:");
  await step(`${volumes.length} volumes: NodeUnpublishVolume`, async () => {
    for (const volume of volumes) await volume.unpublish();
  });
  await endPlugin(plugin);
}

/** Ends a node for good: its pool too, which outlives the plugin so that pods read on through an upgrade. */
export async function endPlugin(plugin: Plugin): Promise<void> {
  const status = await step("the plugin: SIGTERM", () => plugin.stop());
  for (const { target } of await mountsUnder(plugin.root)) spawnSync("umount", [target]);
  const left = (await mountsUnder(plugin.folder)).map(({ target }) => path.relative(plugin.folder, target));
  say(`    ${left.length} mounts left, exit status ${status}`);
  if (left.length > 0 || status !== 0)
    throw new Error(`something was left behind: ${left.join(", ") || `status ${status}`}`);
}
