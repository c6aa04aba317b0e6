// Claims as a provisioner and the kubelet ask for them: made, mounted for a pod, let go and deleted.
import path from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import type { CallOptions, CsiError, Reply } from "./client.ts";
import type { Plugin } from "./plugin.ts";

export type ClaimRequest = {
  readonly parameters?: Readonly<Record<string, string>>;
  readonly secrets?: Readonly<Record<string, string>>;
  readonly name?: string;
  readonly bytes?: number;
  readonly mode?: string;
};

export type Claim = {
  readonly id: string;
  readonly target: string;
  /** CreateVolume's reply. */
  readonly volume: Reply;
  /** Staged and published; repeated while the plugin says that it is under way. */
  mount(): Promise<void>;
  /** Unpublished and unstaged. */
  unmount(): Promise<void>;
  modify(mutable: Readonly<Record<string, string>>): Promise<void>;
  /** Repeated while the write-back is under way, as a provisioner does; tells each progress. */
  remove(tell?: (words: string) => void): Promise<void>;
};

let count = 0;

/** A claim that is made; nothing is mounted until `mount`. */
export async function claim(plugin: Plugin, request: ClaimRequest = {}): Promise<Claim> {
  const { client } = plugin;
  const { secrets = {} } = request;
  const name = request.name ?? `pvc-${process.pid}-${++count}`;
  const capability = { mount: {}, access_mode: { mode: request.mode ?? "SINGLE_NODE_WRITER" } };
  const { volume } = (await client.call("Controller", "CreateVolume", {
    name,
    capacity_range: { required_bytes: request.bytes ?? 64 * 2 ** 20 },
    volume_capabilities: [capability],
    parameters: { "csi.storage.k8s.io/pvc/namespace": "default", ...request.parameters },
    secrets,
  })) as { readonly volume: Reply };
  const id = String(volume["volume_id"]);
  const { target } = await plugin.target(undefined, name);
  const staging = path.join(plugin.folder, "pods", "plugin", name, "globalmount");
  const mounting = { volume_id: id, staging_target_path: staging, volume_capability: capability };
  return {
    id,
    target,
    volume,
    mount: async () => {
      await insisting(() => client.call("Node", "NodeStageVolume", { ...mounting, secrets }));
      await insisting(() => client.call("Node", "NodePublishVolume", { ...mounting, target_path: target }));
    },
    unmount: async () => {
      await client.call("Node", "NodeUnpublishVolume", { volume_id: id, target_path: target });
      await insisting(() =>
        client.call("Node", "NodeUnstageVolume", { volume_id: id, staging_target_path: staging }),
      );
    },
    modify: async (mutable) => {
      await client.call("Controller", "ControllerModifyVolume", {
        volume_id: id,
        mutable_parameters: mutable,
        secrets,
      });
    },
    remove: (tell) =>
      insisting(
        (options) => client.call("Controller", "DeleteVolume", { volume_id: id, secrets }, options),
        tell,
      ),
  };
}

/** As callers of CSI do: ABORTED is progress, and is asked again. */
async function insisting(
  call: (options: CallOptions) => Promise<unknown>,
  tell: (words: string) => void = () => undefined,
): Promise<void> {
  for (;;) {
    try {
      await call({ deadlineMs: 30_000 });
      return;
    } catch (error) {
      const { code, message } = error as CsiError;
      if (code !== "ABORTED") throw error;
      tell(message);
      await pause(200);
    }
  }
}
