// The journeys of NodePublishVolume and NodeUnpublishVolume for claims: a pod's own view of what is staged.
import { publishClaim as published, unpublishClaim as unpublished } from "../core/claim-steps.ts";
import { Failure } from "../core/failure.ts";
import { checkCapabilities, isReader, refuseSecondTarget } from "./claim-capability.ts";
import type { ClaimDeps } from "./claim-deps.ts";
import type { PublishRequest, UnpublishRequest } from "./requests.ts";
import { checkTarget, clearTarget, isMounted } from "./target.ts";

/** The claim is at the target when it resolves, read-only in the kernel where that was asked; safe to repeat. */
export async function publishClaim(deps: ClaimDeps, request: PublishRequest): Promise<void> {
  const { volumeId, target, capability, stagingPath } = request;
  deps.claims.require(volumeId);
  checkCapabilities(volumeId, [capability]);
  using _turn = deps.turns.take(volumeId);
  const record = deps.claims.require(volumeId);
  refuseSecondTarget(record, capability, target);
  const readOnly = request.readOnly || isReader(capability);
  const before = record.publications.find((publication) => publication.target === target);
  if (before !== undefined && before.readOnly !== readOnly) {
    const how = before.readOnly ? "read-only" : "to be written";
    throw new Failure(
      "conflict",
      `Cannot publish the volume "${volumeId}" at "${target}": it is there already, ${how}`,
    );
  }
  if (await isMounted(deps, target)) {
    if (before !== undefined) return;
    await clearTarget(deps, target);
  }
  if (
    stagingPath === undefined ||
    record.stage?.path !== stagingPath ||
    !(await isMounted(deps, stagingPath))
  ) {
    throw new Failure(
      "in-use",
      `Cannot publish the volume "${volumeId}": it is not staged at "${stagingPath ?? ""}"; stage it first`,
    );
  }
  await checkTarget(deps, target);
  await deps.claims.write(published(record, { target, readOnly }));
  await deps.files.makeDirectory(target, { mode: 0o750 });
  await deps.mounts.bind({ source: stagingPath, target, flags: { ...deps.flags, readOnly } });
}

/** Neither mount nor directory is left at the target, nor is it in the Record. */
export async function unpublishClaim(deps: ClaimDeps, { volumeId, target }: UnpublishRequest): Promise<void> {
  using _turn = deps.turns.take(volumeId);
  await clearTarget(deps, target);
  const record = deps.claims.find(volumeId);
  if (record?.publications.some((publication) => publication.target === target) === true) {
    await deps.claims.write(unpublished(record, target));
  }
}
