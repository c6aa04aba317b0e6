// The Identity service: who this driver is, and whether it is ready.
import type {
  GetPluginCapabilitiesResponse,
  GetPluginInfoResponse,
  PluginCapability,
  ProbeResponse,
} from "./protocol.ts";
import { loadService } from "./protocol.ts";
import { constant, method, type Service } from "./service.ts";

export type IdentityDeps = {
  readonly driver: string;
  readonly version: string;
  readonly isReady: () => boolean;
  /** Whether there are claims, and so a Controller service. */
  readonly claims: boolean;
};

const CLAIM_CAPABILITIES: readonly PluginCapability[] = [
  { service: { type: "CONTROLLER_SERVICE" } },
  { volume_expansion: { type: "ONLINE" } },
];

export function identityService({ driver, version, isReady, claims }: IdentityDeps): Service {
  const info: GetPluginInfoResponse = { name: driver, vendor_version: version };
  const capabilities: GetPluginCapabilitiesResponse = {
    // The topology that NodeGetInfo states may not be stated without it.
    capabilities: [
      { service: { type: "VOLUME_ACCESSIBILITY_CONSTRAINTS" } },
      ...(claims ? CLAIM_CAPABILITIES : []),
    ],
  };
  return {
    name: "csi.v1.Identity",
    definition: loadService("csi.proto", "csi.v1.Identity"),
    methods: {
      GetPluginInfo: constant(info),
      GetPluginCapabilities: constant(capabilities),
      Probe: method([], (): ProbeResponse => ({ ready: { value: isReady() } }), { quiet: true }),
    },
  };
}
