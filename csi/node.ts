// The Node service: translates the kubelet's calls to the journeys and their results back.
import path from "node:path";
import { Failure } from "../lib/core/failure.ts";
import type {
  AccessMode,
  Call,
  Capability,
  PublishRequest,
  StatsRequest,
  UnpublishRequest,
  Usage,
  VolumeStats,
} from "../lib/volumes/requests.ts";
import type {
  NodeGetCapabilitiesResponse,
  NodeGetInfoResponse,
  NodeGetVolumeStatsRequest,
  NodeGetVolumeStatsResponse,
  NodePublishVolumeRequest,
  NodeUnpublishVolumeRequest,
  VolumeCapability,
  VolumeUsage,
} from "./protocol.ts";
import { loadService } from "./protocol.ts";
import { constant, method, type Service } from "./service.ts";

/** What the node can do; lib/volumes does it. */
export interface Journeys {
  publish(request: PublishRequest, call: Call): Promise<void>;
  unpublish(request: UnpublishRequest, call: Call): Promise<void>;
  stats(request: StatsRequest, call: Call): Promise<VolumeStats>;
}

export type NodeDeps = { readonly driver: string; readonly node: string; readonly journeys: Journeys };

const MODES: ReadonlyMap<unknown, AccessMode> = new Map([
  ["SINGLE_NODE_WRITER", "single-node-writer"],
  ["SINGLE_NODE_READER_ONLY", "single-node-reader-only"],
  ["SINGLE_NODE_SINGLE_WRITER", "single-node-single-writer"],
  ["SINGLE_NODE_MULTI_WRITER", "single-node-multi-writer"],
  ["MULTI_NODE_READER_ONLY", "multi-node-reader-only"],
  ["MULTI_NODE_SINGLE_WRITER", "multi-node-single-writer"],
  ["MULTI_NODE_MULTI_WRITER", "multi-node-multi-writer"],
]);

export function nodeService({ driver, node, journeys }: NodeDeps): Service {
  const info: NodeGetInfoResponse = {
    node_id: node,
    accessible_topology: { segments: { [`${driver}/node`]: node } },
  };
  const capabilities: NodeGetCapabilitiesResponse = { capabilities: [{ rpc: { type: "GET_VOLUME_STATS" } }] };
  return {
    name: "csi.v1.Node",
    definition: loadService("csi.proto", "csi.v1.Node"),
    methods: {
      NodeGetInfo: constant(info),
      NodeGetCapabilities: constant(capabilities),
      NodePublishVolume: method<NodePublishVolumeRequest>(
        ["volume_id", "target_path", "volume_capability"],
        async (request, call) => {
          await journeys.publish(toPublish(request), call);
          return {};
        },
      ),
      NodeUnpublishVolume: method<NodeUnpublishVolumeRequest>(
        ["volume_id", "target_path"],
        async (request, call) => {
          await journeys.unpublish(
            { volumeId: request.volume_id, target: parseTarget(request.target_path) },
            call,
          );
          return {};
        },
      ),
      NodeGetVolumeStats: method<NodeGetVolumeStatsRequest>(
        ["volume_id", "volume_path"],
        async ({ volume_id, volume_path }, call) =>
          toUsage(await journeys.stats({ volumeId: volume_id, path: volume_path }, call)),
        { quiet: true },
      ),
    },
  };
}

function toPublish(request: NodePublishVolumeRequest): PublishRequest {
  return {
    volumeId: request.volume_id,
    target: parseTarget(request.target_path),
    readOnly: request.readonly,
    attributes: new Map(Object.entries(request.volume_context)),
    secrets: new Map(Object.entries(request.secrets)),
    capability: toCapability(request.volume_capability),
  };
}

function toCapability(capability: VolumeCapability | null): Capability {
  const mode = MODES.get(capability?.access_mode?.mode);
  const access = capability?.mount ? "mount" : capability?.block ? "block" : undefined;
  if (mode === undefined || access === undefined) {
    const lack = access === undefined ? "neither mount nor block" : "no access mode that is known";
    throw new Failure("invalid", `Cannot take the call: its "volume_capability" names ${lack}`);
  }
  return {
    access,
    mode,
    fsType: capability?.mount?.fs_type ?? "",
    mountFlags: capability?.mount?.mount_flags ?? [],
    mountGroup: capability?.mount?.volume_mount_group ?? "",
  };
}

/** An absolute path without `.` and `..`, so that what is compared with the mount table is spelt as there. */
function parseTarget(text: string): string {
  const refuse = (why: string) => new Failure("invalid", `Cannot use the target path "${text}": ${why}`);
  if (!path.isAbsolute(text)) throw refuse("it is not absolute");
  if (text.split("/").some((part) => part === "." || part === "..")) throw refuse('it holds "." or ".."');
  const target = path.normalize(text).replace(/\/$/, "");
  if (target === "") throw refuse("it is the root directory");
  return target;
}

function toUsage({ bytes, inodes }: VolumeStats): NodeGetVolumeStatsResponse {
  const usage = (unit: VolumeUsage["unit"], of: Usage): VolumeUsage => ({ unit, ...of });
  return { usage: [usage("BYTES", bytes), usage("INODES", inodes)] };
}
