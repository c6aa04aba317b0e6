// The wire as proto/csi.proto has it: the services, and the few messages that are spoken here, typed by hand.
import { fileURLToPath } from "node:url";
import type { ServiceClientConstructor, ServiceDefinition } from "@grpc/grpc-js";
import { loadPackageDefinition } from "@grpc/grpc-js";
import { loadSync } from "@grpc/proto-loader";

/** 64-bit numbers arrive as text, because a double cannot hold them all. */
const FORM = { keepCase: true, longs: String, enums: String, defaults: true, oneofs: true };

/** A service by its full name, such as `csi.v1.Node`, from a file of proto/. */
export function loadService(file: string, name: string): ServiceDefinition {
  const definition = loadSync(fileURLToPath(new URL(`../proto/${file}`, import.meta.url)), FORM);
  let node: unknown = loadPackageDefinition(definition);
  for (const part of name.split(".")) node = (node as Record<string, unknown>)[part];
  return (node as ServiceClientConstructor).service;
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

export type VolumeCapability = {
  readonly block?: object | null;
  readonly mount?: {
    readonly fs_type?: string;
    readonly mount_flags?: readonly string[];
    readonly volume_mount_group?: string;
  } | null;
  readonly access_mode?: { readonly mode: string | number } | null;
};

export type GetPluginInfoResponse = {
  readonly name: string;
  readonly vendor_version: string;
};

export type GetPluginCapabilitiesResponse = { readonly capabilities: readonly PluginCapability[] };

export type ProbeResponse = { readonly ready: { readonly value: boolean } };

export type NodePublishVolumeRequest = {
  readonly volume_id: string;
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
  readonly accessible_topology: { readonly segments: WireMap };
};

export type NodeGetCapabilitiesResponse = { readonly capabilities: readonly NodeCapability[] };
