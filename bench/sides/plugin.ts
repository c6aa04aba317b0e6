// Our side: the node plugin as a process of its own, called over its socket as the kubelet does.

import type { CsiError } from "../../e2e/client.ts";
import { openPlugin, type Plugin } from "../../e2e/plugin.ts";
import { type PodVolume, podVolume } from "../../e2e/volume.ts";
import { tool } from "../../testing/tool.ts";
import { checkTree } from "../check-tree.ts";
import type { Side } from "../cold.ts";
import { memoryOf } from "../process.ts";
import type { Pushed, Stage } from "../stage.ts";

/** A plugin with an empty root on the disk that is measured; the folder goes with it. */
export async function freshPlugin(stage: Stage): Promise<Plugin> {
  const folder = await stage.folder();
  const settings = { oras: await tool("oras") };
  const plugin = await openPlugin({ folder, settings, environment: { LARDER_LOG_LEVEL: "warn" } });
  return {
    ...plugin,
    [Symbol.asyncDispose]: async () => {
      await plugin[Symbol.asyncDispose]();
      await stage.drop(folder);
    },
  };
}

export async function volumeOf(plugin: Plugin, artifact: Pushed): Promise<PodVolume> {
  return await podVolume(plugin, { attributes: { reference: artifact.reference, "plain-http": "true" } });
}

/** Calls again while the answer is that the pull is still going on, as the kubelet does but without its pause. */
export async function publish(volume: PodVolume): Promise<void> {
  for (;;) {
    try {
      await volume.publish();
      return;
    } catch (error) {
      if ((error as CsiError).code !== "ABORTED") throw error;
    }
  }
}

export const plugin: Side = {
  name: "larder",
  bring: async (stage, artifact) => {
    await using fresh = await freshPlugin(stage);
    const volume = await volumeOf(fresh, artifact);
    const began = performance.now();
    await publish(volume);
    const ms = performance.now() - began;
    const { highestBytes } = await memoryOf(fresh.pid);
    await checkTree(volume.target, artifact);
    await volume.unpublish();
    return { ms, highestBytes };
  },
};
