// The journey of NodeExpandVolume: a claim's limit is raised while pods use it.
import type { SizeRange } from "../core/admit-claim.ts";
import { type ClaimRecord, isLimited } from "../core/claim-record.ts";
import { expandClaim as expanded } from "../core/claim-steps.ts";
import { Failure } from "../core/failure.ts";
import { formatBytes } from "../core/quantity.ts";
import type { ClaimDeps } from "./claim-deps.ts";
import { withRoom } from "./claim-room.ts";
import type { ExpandRequest } from "./requests.ts";

/** The claim may hold what is required at least. Safe to repeat; never shrinks. Failures: not-found, out-of-range, busy, full. */
export async function expandClaim(
  deps: ClaimDeps,
  request: ExpandRequest,
): Promise<{ readonly bytes: number }> {
  const { volumeId, size } = request;
  refuseLess(deps.claims.require(volumeId), size);
  using _turn = deps.turns.take(volumeId);
  const before = deps.claims.require(volumeId);
  refuseCommitted(before);
  const larger = expanded(before, size.requiredBytes);
  const write = async () => await deps.claims.write(larger);
  if (larger.bytes > before.bytes) await withRoom(deps, larger.bytes - before.bytes, write);
  else await write();
  await deps.limits.set(larger.project, larger);
  return { bytes: larger.bytes };
}

function refuseLess({ volumeId, bytes }: ClaimRecord, { requiredBytes, limitBytes }: SizeRange): void {
  if (limitBytes === 0 || Math.max(bytes, requiredBytes) <= limitBytes) return;
  const why =
    bytes > limitBytes
      ? `it has ${formatBytes(bytes)}, and claims do not shrink`
      : `it is to have ${formatBytes(requiredBytes)} at least; ask for less or allow more`;
  throw new Failure(
    "out-of-range",
    `Cannot make the volume "${volumeId}" hold at most ${formatBytes(limitBytes)}: ${why}`,
  );
}

/** What was committed is content, whose limit is lifted: a new one would stand in the way of its write-back. */
function refuseCommitted(record: ClaimRecord): void {
  if (isLimited(record)) return;
  throw new Failure("busy", `Cannot make the volume "${record.volumeId}" larger: it is being deleted`);
}
