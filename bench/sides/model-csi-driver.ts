// model-csi-driver: the nearest rival, a CSI driver that mounts ModelPack artifacts as inline volumes.

import { mkdir, writeFile } from "node:fs/promises";
import path from "node:path";
import { type CsiClient, openCsi } from "../../e2e/client.ts";
import { tool } from "../../testing/tool.ts";
import { checkTree } from "../check-tree.ts";
import type { Side } from "../cold.ts";
import type { Pushed, Stage } from "../stage.ts";
import { openDaemon } from "./daemon.ts";

const NAME = "model.csi.modelpack.org";

export type Rival = AsyncDisposable & { readonly pid: number; volume(artifact: Pushed): RivalVolume };

export type RivalVolume = {
  readonly target: string;
  publish(): Promise<void>;
  unpublish(): Promise<void>;
};

export async function openRival(stage: Stage): Promise<Rival> {
  const folder = await stage.folder();
  const socket = path.join(folder, "csi", "csi.sock");
  const config = path.join(folder, "config.yaml");
  const docker = { auths: { [stage.host]: { serverscheme: "http" } } };
  await mkdir(path.dirname(socket));
  await writeFile(path.join(folder, "config.json"), JSON.stringify(docker));
  await writeFile(config, JSON.stringify(settingsOf(folder, socket)));
  const daemon = await openDaemon({
    program: await tool("model-csi-driver"),
    args: ["--log-level", "error", "--config", config],
    socket,
    environment: {
      HOME: folder,
      X_CSI_MODE: "node",
      CSI_NODE_ID: "node-1",
    },
  });
  const client = openCsi(socket);
  let volumes = 0;
  return {
    pid: daemon.pid,
    volume: (artifact) => volumeOf(client, artifact, { id: `csi-${++volumes}`, folder }),
    [Symbol.asyncDispose]: async () => {
      client[Symbol.dispose]();
      await daemon[Symbol.asyncDispose]();
      await stage.drop(folder);
    },
  };
}

function settingsOf(folder: string, socket: string): object {
  return {
    service_name: NAME,
    root_dir: path.join(folder, "root"),
    csi_endpoint: `unix://${socket}`,
    pull_config: { docker_config_dir: folder },
  };
}

function volumeOf(
  client: CsiClient,
  artifact: Pushed,
  own: { readonly id: string; readonly folder: string },
): RivalVolume {
  const target = path.join(own.folder, "pods", own.id, "mount");
  const capability = { mount: {}, access_mode: { mode: "SINGLE_NODE_WRITER" } };
  const names = { volume_id: own.id, target_path: target };
  return {
    target,
    publish: async () => {
      const context = { [`${NAME}/reference`]: artifact.reference };
      const request = { ...names, volume_capability: capability, readonly: true, volume_context: context };
      await client.call("Node", "NodePublishVolume", request, { deadlineMs: 1_200_000 });
    },
    unpublish: async () => {
      await client.call("Node", "NodeUnpublishVolume", names);
    },
  };
}

export const modelCsiDriver: Side = {
  name: "model-csi-driver",
  bring: async (stage, artifact) => {
    await using rival = await openRival(stage);
    const volume = rival.volume(artifact);
    const began = performance.now();
    await volume.publish();
    const ms = performance.now() - began;
    await checkTree(volume.target, artifact);
    await volume.unpublish();
    return { ms };
  },
};
