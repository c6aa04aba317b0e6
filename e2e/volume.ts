// Volumes as the kubelet asks for them: the calls of one pod, with what the kubelet adds.
import type { CallOptions } from "./client.ts";
import type { Plugin } from "./plugin.ts";

export type PodVolume = {
  readonly id: string;
  readonly target: string;
  publish(options?: CallOptions): Promise<void>;
  unpublish(): Promise<void>;
};

export type PodRequest = {
  readonly attributes: Readonly<Record<string, string>>;
  readonly secrets?: Readonly<Record<string, string>>;
  readonly id?: string;
  readonly pod?: string;
  /** Of a PersistentVolume that somebody wrote by hand, in place of one of the pod's own. */
  readonly persistent?: boolean;
  /** The pod does not have it read-only. */
  readonly writable?: boolean;
  /** The pod's fsGroup. */
  readonly group?: string;
  /** In place of the path that the kubelet would name. */
  readonly target?: string;
};

let count = 0;

/** A volume of a pod of its own; nothing is mounted until `publish`. */
export async function podVolume(plugin: Plugin, request: PodRequest): Promise<PodVolume> {
  const { pod, target: usual } = await plugin.target(request.pod);
  const target = request.target ?? usual;
  const id = request.id ?? `csi-${process.pid}-${++count}`;
  const context = {
    "csi.storage.k8s.io/ephemeral": String(request.persistent !== true),
    "csi.storage.k8s.io/pod.uid": pod,
    "csi.storage.k8s.io/pod.name": "pod",
    "csi.storage.k8s.io/pod.namespace": "default",
    ...request.attributes,
  };
  const mode = request.persistent === true ? "MULTI_NODE_READER_ONLY" : "SINGLE_NODE_WRITER";
  const capability = { mount: { volume_mount_group: request.group ?? "" }, access_mode: { mode } };
  return {
    id,
    target,
    publish: async (options) => {
      await plugin.client.call(
        "Node",
        "NodePublishVolume",
        {
          volume_id: id,
          target_path: target,
          volume_capability: capability,
          readonly: request.writable !== true,
          volume_context: context,
          secrets: request.secrets ?? {},
        },
        options,
      );
    },
    unpublish: async () => {
      await plugin.client.call("Node", "NodeUnpublishVolume", { volume_id: id, target_path: target });
    },
  };
}

/** A pull secret for one host, as the kubelet hands it over. */
export function pullSecret(
  host: string,
  username: string,
  password: string,
): Readonly<Record<string, string>> {
  const auth = Buffer.from(`${username}:${password}`).toString("base64");
  return { ".dockerconfigjson": JSON.stringify({ auths: { [host]: { auth } } }) };
}
