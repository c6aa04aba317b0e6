// A claim as pods see it: what they write over the base, at its staging path.
import type { ClaimRecord } from "../core/claim-record.ts";
import { Failure } from "../core/failure.ts";
import type { ClaimDeps } from "./claim-deps.ts";
import { orEmptyLayer, placesOf } from "./claim-disk.ts";
import { mountWritable, type WritableDeps } from "./mount-writable.ts";

/**
 * The path is an empty directory, with nothing mounted; what pods write to is filled. Throws `in-use` where that is
 * mounted for pods: two mounts of it would not know of each other.
 */
export async function mountClaim(
  deps: WritableDeps & Pick<ClaimDeps, "root" | "flags" | "context" | "trees">,
  record: ClaimRecord,
  target: string,
): Promise<void> {
  const { root, flags, context } = deps;
  await refuseInUse(deps, record, "stage");
  const below = await orEmptyLayer(deps, standsOn(deps, record));
  const { layout, durability } = record.settings;
  const writable = { places: placesOf(root, record), layout, isVolatile: durability === "volatile" };
  const view = { ...flags, ...(context === undefined ? {} : { context }) };
  await mountWritable(deps, view, { ...writable, below }, target);
}

/** Its base, or that made over for its pods' group: topmost first. */
function standsOn({ trees }: Pick<ClaimDeps, "trees">, { base, group }: ClaimRecord): readonly string[] {
  const grouped = group?.layers ?? [];
  const below = trees.contents(grouped.length > 0 ? grouped : (base?.layers ?? []));
  if (below === undefined) throw new Error("a claim is mounted whose base is not here");
  return below;
}

/** Throws `in-use` while a pod has it, by the kernel's word. */
export async function refuseInUse(
  { mounts }: Pick<ClaimDeps, "mounts">,
  { volumeId, publications }: ClaimRecord,
  verb: "stage" | "unstage",
): Promise<void> {
  for (const { target } of publications) {
    if ((await mounts.at(target)).length === 0) continue;
    throw new Failure(
      "in-use",
      `Cannot ${verb} the volume "${volumeId}": a pod has it at "${target}"; unpublish it there first`,
    );
  }
}

/** Throws `conflict`: a claim is staged at one path at a time. */
export function refuseOtherPath({ volumeId, stage }: ClaimRecord, path: string): void {
  if (stage === undefined || stage.path === path) return;
  throw new Failure(
    "conflict",
    `Cannot stage the volume "${volumeId}" at "${path}": it is staged at "${stage.path}"; unstage it there first`,
  );
}
