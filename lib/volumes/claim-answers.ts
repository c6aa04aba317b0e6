// What is asked of claims and of the node without anything being done: capacity, capabilities, use.
import { parseClass } from "../settings/claim.ts";
import { refusalOf } from "./claim-capability.ts";
import type { ClaimDeps } from "./claim-deps.ts";
import { placesOf } from "./claim-disk.ts";
import { readClaimable } from "./claim-room.ts";
import type { CreateDeps } from "./create-claim.ts";
import type {
  Capacity,
  CapacityRequest,
  ClaimVerdict,
  StatsRequest,
  ValidateClaimRequest,
  VolumeStats,
} from "./requests.ts";
import { readUse, type UseDeps } from "./use.ts";

const SMALLEST_BYTES = 2 ** 20;

/** Nothing for another node, for a class that needs limits this node has not, or for a use no claim has. */
export async function readCapacity(deps: CreateDeps, request: CapacityRequest): Promise<Capacity> {
  const { capabilities, parameters, topology } = request;
  const elsewhere = (topology?.get(`${deps.driver}/node`) ?? deps.node) !== deps.node;
  const { quota } = parseClass(parameters, { registries: deps.registries });
  const unlimited = quota === "required" && !deps.limits.areEnforced;
  const unfit = capabilities.some((capability) => refusalOf(capability) !== undefined);
  const bytes = elsewhere || unlimited || unfit ? 0 : await readClaimable(deps);
  return { availableBytes: bytes, maximumBytes: bytes, minimumBytes: SMALLEST_BYTES };
}

/** Throws `not-found`. */
export async function validateClaim(deps: ClaimDeps, request: ValidateClaimRequest): Promise<ClaimVerdict> {
  deps.claims.require(request.volumeId);
  const why = request.capabilities.map(refusalOf).find((refusal) => refusal !== undefined);
  return why === undefined ? { confirmed: true } : { confirmed: false, message: why };
}

/** As `df` shows it to the pod, and what left its project. Nothing for what is not staged or published there. */
export async function claimStats(
  deps: ClaimDeps & UseDeps,
  { volumeId, path }: StatsRequest,
): Promise<VolumeStats | undefined> {
  const record = deps.claims.find(volumeId);
  const isThere =
    record?.stage?.path === path || record?.publications.some(({ target }) => target === path) === true;
  if (record === undefined || !isThere) return undefined;
  const { directory } = placesOf(deps.root, record);
  return await readUse(deps, { ...record, directory }, path);
}
