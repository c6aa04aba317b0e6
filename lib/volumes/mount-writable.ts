// Shows a volume that pods write to: what they write over what it starts from, or under `copy` what they write alone.
import type { Places } from "./claim-disk.ts";
import type { ViewSettings } from "./mount-tree.ts";
import type { TargetDeps } from "./target.ts";

export type WritableDeps = Pick<TargetDeps, "files" | "mounts"> & {
  readonly discard: (at: string) => Promise<void>;
};

export type Writable = {
  readonly places: Places;
  readonly layout: "overlay" | "copy";
  /** Nothing of it is synced, and unmounting it waits for no disk. */
  readonly isVolatile: boolean;
  /** Directories of what it starts from, topmost first; at least one. */
  readonly below: readonly string[];
};

/** The target is an empty directory, with nothing mounted; the upper is filled, and mounted nowhere. */
export async function mountWritable(
  { files, mounts, discard }: WritableDeps,
  { noSuid, noDev, context }: ViewSettings,
  { places, layout, isVolatile, below }: Writable,
  target: string,
): Promise<void> {
  const { upper, work } = places;
  const flags = { noSuid, noDev, readOnly: false };
  if (layout === "copy") return await mounts.bind({ source: upper, target, flags });
  // The kernel refuses a work directory that a volatile overlay had: it cannot know that no crash came in between.
  if (isVolatile) await discard(work);
  await files.makeDirectory(work, { mode: 0o700 });
  await mounts.overlay({
    lower: below,
    upper,
    work,
    target,
    flags,
    volatile: isVolatile,
    redirectDir: false,
    ...(context === undefined ? {} : { context }),
  });
}
