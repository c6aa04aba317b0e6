// The wire as proto/csi.proto has it: the services, and the few messages that are spoken here, typed by hand.
import { fileURLToPath } from "node:url";
import type { GrpcObject, ServiceClientConstructor, ServiceDefinition } from "@grpc/grpc-js";
import { loadPackageDefinition } from "@grpc/grpc-js";
import { loadSync } from "@grpc/proto-loader";

/** 64-bit numbers arrive as text, because a double cannot hold them all. */
const FORM = { keepCase: true, longs: String, enums: String, defaults: true, oneofs: true };

/** Read once: parsing csi.proto takes longer than most calls. */
const loaded = new Map<string, GrpcObject>();

/** A service by its full name, such as `csi.v1.Node`, from a file of proto/. */
export function loadService(file: string, name: string): ServiceDefinition {
  const root = loaded.get(file) ?? loadFile(file);
  loaded.set(file, root);
  let node: unknown = root;
  for (const part of name.split(".")) node = (node as Record<string, unknown>)[part];
  return (node as ServiceClientConstructor).service;
}

function loadFile(file: string): GrpcObject {
  const at = fileURLToPath(new URL(`../proto/${file}`, import.meta.url));
  return loadPackageDefinition(loadSync(at, FORM));
}

export type WireMap = Readonly<Record<string, string>>;

export type PluginCapability =
  | { readonly service: { readonly type: "CONTROLLER_SERVICE" | "VOLUME_ACCESSIBILITY_CONSTRAINTS" } }
  | { readonly volume_expansion: { readonly type: "ONLINE" | "OFFLINE" } };

export type NodeCapability = {
  readonly rpc: {
    readonly type:
      | "STAGE_UNSTAGE_VOLUME"
      | "GET_VOLUME_STATS"
      | "EXPAND_VOLUME"
      | "SINGLE_NODE_MULTI_WRITER"
      | "VOLUME_MOUNT_GROUP";
  };
};

export type ControllerCapability = {
  readonly rpc: {
    readonly type: "CREATE_DELETE_VOLUME" | "GET_CAPACITY" | "MODIFY_VOLUME" | "SINGLE_NODE_MULTI_WRITER";
  };
};

export type VolumeCapability = {
  readonly block?: object | null;
  readonly mount?: {
    readonly fs_type?: string;
    readonly mount_flags?: readonly string[];
    readonly volume_mount_group?: string;
  } | null;
  readonly access_mode?: { readonly mode: string | number } | null;
};

export type CapacityRange = { readonly required_bytes: string; readonly limit_bytes: string };

export type Topology = { readonly segments: WireMap };

export type TopologyRequirement = {
  readonly requisite?: readonly Topology[];
  readonly preferred?: readonly Topology[];
};

export type GetPluginInfoResponse = {
  readonly name: string;
  readonly vendor_version: string;
};

export type GetPluginCapabilitiesResponse = { readonly capabilities: readonly PluginCapability[] };

export type ProbeResponse = { readonly ready: { readonly value: boolean } };

export type ControllerGetCapabilitiesResponse = { readonly capabilities: readonly ControllerCapability[] };

export type CreateVolumeRequest = {
  readonly name: string;
  readonly capacity_range: CapacityRange | null;
  readonly volume_capabilities: readonly VolumeCapability[];
  readonly parameters: WireMap;
  readonly secrets: WireMap;
  readonly volume_content_source: object | null;
  readonly accessibility_requirements: TopologyRequirement | null;
  readonly mutable_parameters: WireMap;
};

export type CreateVolumeResponse = {
  readonly volume: {
    readonly capacity_bytes: number;
    readonly volume_id: string;
    readonly volume_context: WireMap;
    readonly accessible_topology: readonly Topology[];
  };
};

export type DeleteVolumeRequest = { readonly volume_id: string; readonly secrets: WireMap };

export type ValidateVolumeCapabilitiesRequest = {
  readonly volume_id: string;
  readonly volume_context: WireMap;
  readonly volume_capabilities: readonly VolumeCapability[];
  readonly parameters: WireMap;
  readonly secrets: WireMap;
  readonly mutable_parameters: WireMap;
};

export type ValidateVolumeCapabilitiesResponse =
  | {
      readonly confirmed: Pick<
        ValidateVolumeCapabilitiesRequest,
        "volume_context" | "volume_capabilities" | "parameters" | "mutable_parameters"
      >;
    }
  | { readonly message: string };

export type GetCapacityRequest = {
  readonly volume_capabilities: readonly VolumeCapability[];
  readonly parameters: WireMap;
  readonly accessible_topology: Topology | null;
};

export type GetCapacityResponse = {
  readonly available_capacity: number;
  readonly maximum_volume_size: { readonly value: number };
  readonly minimum_volume_size: { readonly value: number };
};

export type ControllerModifyVolumeRequest = {
  readonly volume_id: string;
  readonly secrets: WireMap;
  readonly mutable_parameters: WireMap;
};

export type NodeStageVolumeRequest = {
  readonly volume_id: string;
  readonly staging_target_path: string;
  readonly volume_capability: VolumeCapability | null;
  readonly secrets: WireMap;
  readonly volume_context: WireMap;
};

export type NodeUnstageVolumeRequest = { readonly volume_id: string; readonly staging_target_path: string };

export type NodeExpandVolumeRequest = {
  readonly volume_id: string;
  readonly volume_path: string;
  readonly capacity_range: CapacityRange | null;
  readonly staging_target_path: string;
};

export type NodeExpandVolumeResponse = { readonly capacity_bytes: number };

export type NodePublishVolumeRequest = {
  readonly volume_id: string;
  readonly staging_target_path: string;
  readonly target_path: string;
  readonly volume_capability: VolumeCapability | null;
  readonly readonly: boolean;
  readonly secrets: WireMap;
  readonly volume_context: WireMap;
};

export type NodeUnpublishVolumeRequest = { readonly volume_id: string; readonly target_path: string };

export type NodeGetVolumeStatsRequest = { readonly volume_id: string; readonly volume_path: string };

export type VolumeUsage = {
  readonly unit: "BYTES" | "INODES";
  readonly total: number | string;
  readonly used: number | string;
  readonly available: number | string;
};

export type NodeGetVolumeStatsResponse = { readonly usage: readonly VolumeUsage[] };

export type NodeGetInfoResponse = {
  readonly node_id: string;
  readonly accessible_topology: Topology;
};

export type NodeGetCapabilitiesResponse = { readonly capabilities: readonly NodeCapability[] };
