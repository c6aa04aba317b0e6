// The Node service: translates the kubelet's calls to the journeys and their results back.
import type {
  Call,
  Expanded,
  ExpandRequest,
  PublishRequest,
  StageRequest,
  StatsRequest,
  UnpublishRequest,
  UnstageRequest,
  Usage,
  VolumeStats,
} from "../lib/volumes/requests.ts";
import { toCapability } from "./capability.ts";
import type {
  NodeCapability,
  NodeExpandVolumeRequest,
  NodeExpandVolumeResponse,
  NodeGetCapabilitiesResponse,
  NodeGetInfoResponse,
  NodeGetVolumeStatsRequest,
  NodeGetVolumeStatsResponse,
  NodePublishVolumeRequest,
  NodeStageVolumeRequest,
  NodeUnpublishVolumeRequest,
  NodeUnstageVolumeRequest,
  VolumeUsage,
} from "./protocol.ts";
import { loadService } from "./protocol.ts";
import { constant, type Method, method, type Service } from "./service.ts";
import { parseMap, parsePath, parseSizeRange } from "./wire-values.ts";

/** What the node can do for any volume; lib/volumes does it. */
export interface InlineJourneys {
  publish(request: PublishRequest, call: Call): Promise<void>;
  unpublish(request: UnpublishRequest, call: Call): Promise<void>;
  stats(request: StatsRequest, call: Call): Promise<VolumeStats>;
}

/** And for claims. */
export interface Journeys extends InlineJourneys {
  stage(request: StageRequest, call: Call): Promise<void>;
  unstage(request: UnstageRequest, call: Call): Promise<void>;
  expand(request: ExpandRequest, call: Call): Promise<Expanded>;
}

/** What is not there for want of claims is neither reported nor reached. */
export type NodeServed =
  | { readonly claims: false; readonly journeys: InlineJourneys }
  | { readonly claims: true; readonly journeys: Journeys };

export type NodeDeps = { readonly driver: string; readonly node: string; readonly served: NodeServed };

const CLAIM_CAPABILITIES: ReadonlyArray<NodeCapability["rpc"]["type"]> = [
  "STAGE_UNSTAGE_VOLUME",
  "EXPAND_VOLUME",
  "SINGLE_NODE_MULTI_WRITER",
  "VOLUME_MOUNT_GROUP",
];

export function nodeService({ driver, node, served }: NodeDeps): Service {
  const info: NodeGetInfoResponse = {
    node_id: node,
    accessible_topology: { segments: { [`${driver}/node`]: node } },
  };
  const types: NodeCapability["rpc"]["type"][] = [
    "GET_VOLUME_STATS",
    ...(served.claims ? CLAIM_CAPABILITIES : []),
  ];
  const capabilities: NodeGetCapabilitiesResponse = {
    capabilities: types.map((type) => ({ rpc: { type } })),
  };
  return {
    name: "csi.v1.Node",
    definition: loadService("csi.proto", "csi.v1.Node"),
    methods: {
      NodeGetInfo: constant(info),
      NodeGetCapabilities: constant(capabilities),
      ...targetMethods(served.journeys),
      ...(served.claims ? claimMethods(served.journeys) : {}),
    },
  };
}

function targetMethods(journeys: InlineJourneys): Record<string, Method> {
  return {
    NodePublishVolume: method<NodePublishVolumeRequest>(
      ["volume_id", "target_path", "volume_capability"],
      async (request, call) => {
        await journeys.publish(toPublish(request), call);
        return {};
      },
    ),
    NodeUnpublishVolume: method<NodeUnpublishVolumeRequest>(
      ["volume_id", "target_path"],
      async ({ volume_id, target_path }, call) => {
        await journeys.unpublish({ volumeId: volume_id, target: parsePath(target_path, "target") }, call);
        return {};
      },
    ),
    NodeGetVolumeStats: method<NodeGetVolumeStatsRequest>(
      ["volume_id", "volume_path"],
      async ({ volume_id, volume_path }, call) =>
        toUsage(await journeys.stats({ volumeId: volume_id, path: volume_path }, call)),
      { quiet: true },
    ),
  };
}

function claimMethods(journeys: Journeys): Record<string, Method> {
  return {
    NodeStageVolume: method<NodeStageVolumeRequest>(
      ["volume_id", "staging_target_path", "volume_capability"],
      async (request, call) => {
        await journeys.stage(toStage(request), call);
        return {};
      },
    ),
    NodeUnstageVolume: method<NodeUnstageVolumeRequest>(
      ["volume_id", "staging_target_path"],
      async ({ volume_id, staging_target_path }, call) => {
        const path = parsePath(staging_target_path, "staging");
        await journeys.unstage({ volumeId: volume_id, path }, call);
        return {};
      },
    ),
    NodeExpandVolume: method<NodeExpandVolumeRequest>(
      ["volume_id", "volume_path"],
      async (request, call): Promise<NodeExpandVolumeResponse> => {
        const { bytes } = await journeys.expand(toExpand(request), call);
        return { capacity_bytes: bytes };
      },
    ),
  };
}

function toPublish(request: NodePublishVolumeRequest): PublishRequest {
  const staging = request.staging_target_path;
  return {
    volumeId: request.volume_id,
    target: parsePath(request.target_path, "target"),
    ...(staging === "" ? {} : { stagingPath: parsePath(staging, "staging") }),
    readOnly: request.readonly,
    attributes: parseMap(request.volume_context),
    secrets: parseMap(request.secrets),
    capability: toCapability(request.volume_capability),
  };
}

function toStage(request: NodeStageVolumeRequest): StageRequest {
  return {
    volumeId: request.volume_id,
    path: parsePath(request.staging_target_path, "staging"),
    capability: toCapability(request.volume_capability),
    context: parseMap(request.volume_context),
    secrets: parseMap(request.secrets),
  };
}

function toExpand(request: NodeExpandVolumeRequest): ExpandRequest {
  const staging = request.staging_target_path;
  return {
    volumeId: request.volume_id,
    path: request.volume_path,
    ...(staging === "" ? {} : { stagingPath: staging }),
    size: parseSizeRange(request.capacity_range),
  };
}

function toUsage({ bytes, inodes }: VolumeStats): NodeGetVolumeStatsResponse {
  const usage = (unit: VolumeUsage["unit"], of: Usage): VolumeUsage => ({ unit, ...of });
  return { usage: [usage("BYTES", bytes), usage("INODES", inodes)] };
}
