// The journey of CreateVolume: a claim is promised its room on this node, and recorded.
import { admitClaim, inodesOfClaim, sizeOfClaim } from "../core/admit-claim.ts";
import { type ClaimRecord, claimIdOf } from "../core/claim-record.ts";
import { Failure, isFailure } from "../core/failure.ts";
import type { Metrics } from "../host/metrics.ts";
import { parseClaim } from "../settings/claim.ts";
import { checkCapabilities } from "./claim-capability.ts";
import { clearDisk, ensureDisk } from "./claim-disk.ts";
import { type PendingDeps, readPolicy, withRoom } from "./claim-room.ts";
import type { FindDeps } from "./lease-base.ts";
import { isLookedFor, lookForBase } from "./look-for-base.ts";
import type { Call, ClaimAnswer, CreateClaimRequest } from "./requests.ts";

type Wishes = ReturnType<typeof parseClaim>;

export type CreateDeps = FindDeps &
  PendingDeps & { readonly driver: string; readonly metrics: Pick<Metrics, "countClaim"> };

/**
 * The claim is recorded, has its directory and its limit; its base was looked for, and what is to be said of that is in
 * its context. Repeating is safe: one name is one claim, and one answer. Failures: invalid, conflict, busy,
 * unavailable, out-of-range, full (another node may have the room).
 */
export async function createClaim(
  deps: CreateDeps,
  request: CreateClaimRequest,
  call: Call,
): Promise<ClaimAnswer> {
  checkCapabilities(request.name, request.capabilities);
  refuseSource(request);
  const wishes = parseClaim(request.parameters, request.mutable, {
    registries: deps.registries,
  });
  refuseElsewhere(deps, request);
  const volumeId = claimIdOf(request.name);
  using _turn = deps.turns.take(volumeId);
  deps.claims.refuseUnreadable(volumeId);
  const existing = deps.claims.find(volumeId);
  const isKept = admitClaim(existing, request) === "keep";
  const record = isKept && existing !== undefined ? existing : await promiseRoom(deps, request, wishes);
  try {
    await ensureDisk(deps, record);
    if (record !== existing) noteMade(deps, record);
    return toAnswer(await lookForBase(deps, record, { secrets: request.secrets, call }));
  } catch (error) {
    const isTold = record === existing && isLookedFor(record);
    if (!isTold && !isAskedAgain(error)) await undo(deps, record);
    throw error;
  }
}

/** By the same caller of this node. After anything else the claim is made elsewhere or not at all, and nobody deletes it here. */
const isAskedAgain = (error: unknown) => isFailure(error, "pending") || isFailure(error, "unavailable");

/** Nothing of what this call, or one that ended `pending`, made is left: nobody was told of it. */
async function undo(deps: CreateDeps, record: ClaimRecord): Promise<void> {
  try {
    await clearDisk(deps, record);
    await deps.claims.remove(record.volumeId);
    deps.letIn.forget(record.volumeId);
  } catch (error) {
    deps.log.error("Cannot undo a claim that could not be made; delete it", {
      volume: record.volumeId,
      error,
    });
  }
}

/** Its room is promised from here on. */
async function promiseRoom(
  deps: CreateDeps,
  request: CreateClaimRequest,
  { settings, terms }: Wishes,
): Promise<ClaimRecord> {
  refuseUnlimited(deps, settings.quota);
  const bytes = sizeOfClaim(request.size);
  return await deps.limits.draw(
    () => deps.claims.all.values(),
    async (project) =>
      await withRoom(deps, bytes, async () => {
        const { policy, warning } = await readPolicy(deps, { terms, settings });
        const drawn = toRecord(deps, request, { bytes, project });
        const made: ClaimRecord = {
          ...drawn,
          settings,
          terms: { ...terms, policy },
          inodes: settings.inodes ?? drawn.inodes,
          ...(warning === undefined ? {} : { warning }),
        };
        await deps.claims.write(made);
        return made;
      }),
  );
}

function noteMade({ metrics, log }: CreateDeps, { warning, volumeId }: ClaimRecord): void {
  metrics.countClaim("created");
  if (warning !== undefined) log.warn(warning, { volume: volumeId });
}

type Given = { readonly bytes: number; readonly project: number | undefined };

function toRecord(deps: CreateDeps, { name, parameters }: CreateClaimRequest, { bytes, project }: Given) {
  return {
    kind: "claim",
    volumeId: claimIdOf(name),
    name,
    createdMs: deps.clock.now(),
    id: deps.drawId(),
    node: deps.node,
    parameters,
    bytes,
    inodes: inodesOfClaim(bytes),
    ...(project === undefined ? {} : { project }),
    publications: [],
  } as const;
}

const toAnswer = ({ volumeId, bytes, warning }: ClaimRecord): ClaimAnswer => ({
  volumeId,
  bytes,
  context: new Map(warning === undefined ? [] : [["warning", warning]]),
});

function refuseSource({ name, hasSource }: CreateClaimRequest): void {
  if (!hasSource) return;
  throw new Failure(
    "invalid",
    `Cannot make the volume "${name}" from a snapshot or another volume; name what it starts from with "cache" or "from"`,
  );
}

function refuseElsewhere({ driver, node }: CreateDeps, { name, topology }: CreateClaimRequest): void {
  const key = `${driver}/node`;
  if (topology.length === 0 || topology.some((segments) => (segments.get(key) ?? node) === node)) return;
  throw new Failure("full", `Cannot make the volume "${name}" on ${node}: it is wanted on another node`);
}

function refuseUnlimited({ limits, node }: CreateDeps, quota: "auto" | "required"): void {
  if (quota === "auto" || limits.areEnforced) return;
  throw new Failure(
    "full",
    `Cannot make the volume on ${node}: its class requires a hard limit, and this node has no XFS with project quotas`,
  );
}
