// A claim as pods see it: what they write over the base, at its staging path.
import type { ClaimRecord } from "../core/claim-record.ts";
import { Failure } from "../core/failure.ts";
import type { ClaimDeps } from "./claim-deps.ts";
import { emptyLayer, placesOf } from "./claim-disk.ts";

/** `below`: directories of the base, topmost first. The path is an empty directory, with nothing mounted. */
export async function mountClaim(
  deps: Pick<ClaimDeps, "mounts" | "files" | "root" | "flags" | "context">,
  record: ClaimRecord,
  below: readonly string[],
  target: string,
): Promise<void> {
  const { mounts, files, root, flags, context } = deps;
  const { upper, work } = placesOf(root, record);
  if (record.settings.layout === "copy") {
    await mounts.bind({ source: upper, target, flags: { ...flags, readOnly: false } });
    return;
  }
  await files.makeDirectory(work, { mode: 0o700 });
  if (below.length === 0) await files.makeDirectory(emptyLayer(root));
  await mounts.overlay({
    lower: below.length === 0 ? [emptyLayer(root)] : below,
    upper,
    work,
    target,
    flags: { ...flags, readOnly: false },
    volatile: record.settings.durability === "volatile",
    redirectDir: false,
    ...(context === undefined ? {} : { context }),
  });
}

/** Throws `conflict`: a claim is staged at one path at a time. */
export function refuseOtherPath({ volumeId, stage }: ClaimRecord, path: string): void {
  if (stage === undefined || stage.path === path) return;
  throw new Failure(
    "conflict",
    `Cannot stage the volume "${volumeId}" at "${path}": it is staged at "${stage.path}"; unstage it there first`,
  );
}
