// A claim as pods see it: what they write over the base, at its staging path.
import type { ClaimRecord } from "../core/claim-record.ts";
import { Failure } from "../core/failure.ts";
import type { ClaimDeps } from "./claim-deps.ts";
import { emptyLayer, placesOf } from "./claim-disk.ts";
import { mountWritable, type WritableDeps } from "./mount-writable.ts";

/** `below`: directories of the base, topmost first. The path is an empty directory, with nothing mounted. */
export async function mountClaim(
  deps: WritableDeps & Pick<ClaimDeps, "root" | "flags" | "context">,
  record: ClaimRecord,
  below: readonly string[],
  target: string,
): Promise<void> {
  const { files, root, flags, context } = deps;
  if (below.length === 0) await files.makeDirectory(emptyLayer(root));
  const { layout, durability } = record.settings;
  const writable = { places: placesOf(root, record), layout, isVolatile: durability === "volatile" };
  const view = { ...flags, ...(context === undefined ? {} : { context }) };
  await mountWritable(
    deps,
    view,
    { ...writable, below: below.length === 0 ? [emptyLayer(root)] : below },
    target,
  );
}

/** Throws `conflict`: a claim is staged at one path at a time. */
export function refuseOtherPath({ volumeId, stage }: ClaimRecord, path: string): void {
  if (stage === undefined || stage.path === path) return;
  throw new Failure(
    "conflict",
    `Cannot stage the volume "${volumeId}" at "${path}": it is staged at "${stage.path}"; unstage it there first`,
  );
}
