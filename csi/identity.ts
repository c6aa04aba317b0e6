// The Identity service: who this driver is, and whether it is ready.
import type { GetPluginCapabilitiesResponse, GetPluginInfoResponse, ProbeResponse } from "./protocol.ts";
import { loadService } from "./protocol.ts";
import { constant, method, type Service } from "./service.ts";

export type IdentityDeps = {
  readonly driver: string;
  readonly version: string;
  readonly isReady: () => boolean;
};

export function identityService({ driver, version, isReady }: IdentityDeps): Service {
  const info: GetPluginInfoResponse = { name: driver, vendor_version: version };
  const capabilities: GetPluginCapabilitiesResponse = {
    // The topology that NodeGetInfo states may not be stated without it.
    capabilities: [{ service: { type: "VOLUME_ACCESSIBILITY_CONSTRAINTS" } }],
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
