// The Controller service: translates a provisioner's calls to the journeys of claims and their results back.
import type {
  Call,
  Capacity,
  CapacityRequest,
  ClaimAnswer,
  ClaimVerdict,
  CreateClaimRequest,
  DeleteClaimRequest,
  ModifyClaimRequest,
  ValidateClaimRequest,
} from "../lib/volumes/requests.ts";
import { toCapability } from "./capability.ts";
import type {
  ControllerCapability,
  ControllerGetCapabilitiesResponse,
  ControllerModifyVolumeRequest,
  CreateVolumeRequest,
  CreateVolumeResponse,
  DeleteVolumeRequest,
  GetCapacityRequest,
  GetCapacityResponse,
  Topology,
  ValidateVolumeCapabilitiesRequest,
  ValidateVolumeCapabilitiesResponse,
} from "./protocol.ts";
import { loadService } from "./protocol.ts";
import { constant, type Method, method, type Service } from "./service.ts";
import { parseMap, parseSizeRange, parseTopology } from "./wire-values.ts";

/** What becomes of claims; lib/volumes does it. */
export interface ControllerJourneys {
  createClaim(request: CreateClaimRequest, call: Call): Promise<ClaimAnswer>;
  /** Resolves to what is to be said of it, where that is not the plain end. */
  deleteClaim(request: DeleteClaimRequest, call: Call): Promise<string | undefined>;
  validateClaim(request: ValidateClaimRequest, call: Call): Promise<ClaimVerdict>;
  readCapacity(request: CapacityRequest, call: Call): Promise<Capacity>;
  modifyClaim(request: ModifyClaimRequest, call: Call): Promise<void>;
}

export type ControllerDeps = {
  readonly driver: string;
  readonly node: string;
  readonly journeys: ControllerJourneys;
};

// No EXPAND_VOLUME: a claim grows on its node alone, and the stock resizer would ask any node's controller.
const CAPABILITIES: ReadonlyArray<ControllerCapability["rpc"]["type"]> = [
  "CREATE_DELETE_VOLUME",
  "GET_CAPACITY",
  "MODIFY_VOLUME",
  "SINGLE_NODE_MULTI_WRITER",
];

export function controllerService({ driver, node, journeys }: ControllerDeps): Service {
  const capabilities: ControllerGetCapabilitiesResponse = {
    capabilities: CAPABILITIES.map((type) => ({ rpc: { type } })),
  };
  return {
    name: "csi.v1.Controller",
    definition: loadService("csi.proto", "csi.v1.Controller"),
    methods: {
      ControllerGetCapabilities: constant(capabilities),
      ...makingMethods(journeys, { segments: { [`${driver}/node`]: node } }),
      ...askingMethods(journeys),
    },
  };
}

function makingMethods(journeys: ControllerJourneys, here: Topology): Record<string, Method> {
  return {
    CreateVolume: method<CreateVolumeRequest>(["name", "volume_capabilities"], async (request, call) =>
      toVolume(await journeys.createClaim(toCreate(request), call), here),
    ),
    DeleteVolume: method<DeleteVolumeRequest>(["volume_id"], async ({ volume_id, secrets }, call, tell) => {
      const note = await journeys.deleteClaim({ volumeId: volume_id, secrets: parseMap(secrets) }, call);
      if (note !== undefined) tell(note);
      return {};
    }),
    // Its map is required, and the wire cannot tell an empty one from none: a change of nothing is granted.
    ControllerModifyVolume: method<ControllerModifyVolumeRequest>(["volume_id"], async (request, call) => {
      const { volume_id, mutable_parameters, secrets } = request;
      await journeys.modifyClaim(
        { volumeId: volume_id, mutable: parseMap(mutable_parameters), secrets: parseMap(secrets) },
        call,
      );
      return {};
    }),
  };
}

function askingMethods(journeys: ControllerJourneys): Record<string, Method> {
  return {
    ValidateVolumeCapabilities: method<ValidateVolumeCapabilitiesRequest>(
      ["volume_id", "volume_capabilities"],
      async (request, call) => toVerdict(await journeys.validateClaim(toValidate(request), call), request),
    ),
    // Provisioners ask for every class again and again.
    GetCapacity: method<GetCapacityRequest>(
      [],
      async (request, call) => toSizes(await journeys.readCapacity(toCapacity(request), call)),
      { quiet: true },
    ),
  };
}

function toCreate(request: CreateVolumeRequest): CreateClaimRequest {
  return {
    name: request.name,
    size: parseSizeRange(request.capacity_range),
    capabilities: request.volume_capabilities.map(toCapability),
    parameters: parseMap(request.parameters),
    mutable: parseMap(request.mutable_parameters),
    secrets: parseMap(request.secrets),
    topology: parseTopology(request.accessibility_requirements),
    hasSource: Boolean(request.volume_content_source),
  };
}

function toVolume({ volumeId, bytes, context }: ClaimAnswer, here: Topology): CreateVolumeResponse {
  return {
    volume: {
      volume_id: volumeId,
      capacity_bytes: bytes,
      volume_context: Object.fromEntries(context),
      accessible_topology: [here],
    },
  };
}

function toValidate(request: ValidateVolumeCapabilitiesRequest): ValidateClaimRequest {
  return {
    volumeId: request.volume_id,
    capabilities: request.volume_capabilities.map(toCapability),
    context: parseMap(request.volume_context),
    parameters: parseMap(request.parameters),
    mutable: parseMap(request.mutable_parameters),
    secrets: parseMap(request.secrets),
  };
}

/** Confirmed is what was asked about, word for word. */
function toVerdict(
  verdict: ClaimVerdict,
  request: ValidateVolumeCapabilitiesRequest,
): ValidateVolumeCapabilitiesResponse {
  if (!verdict.confirmed) return { message: verdict.message };
  const { volume_context, volume_capabilities, parameters, mutable_parameters } = request;
  return { confirmed: { volume_context, volume_capabilities, parameters, mutable_parameters } };
}

function toCapacity(request: GetCapacityRequest): CapacityRequest {
  const topology = request.accessible_topology;
  return {
    capabilities: request.volume_capabilities.map(toCapability),
    parameters: parseMap(request.parameters),
    ...(topology ? { topology: parseMap(topology.segments) } : {}),
  };
}

function toSizes({ availableBytes, maximumBytes, minimumBytes }: Capacity): GetCapacityResponse {
  return {
    available_capacity: availableBytes,
    maximum_volume_size: { value: maximumBytes },
    minimum_volume_size: { value: minimumBytes },
  };
}
