// Shows a Tree at a target: one Layer is bound, several are stacked, read-only in the kernel either way.
import type { MountFlags, Mounts } from "../host/mounts.ts";

export type ViewSettings = {
  readonly noSuid: boolean;
  readonly noDev: boolean;
  /** The SELinux label of overlays; none where SELinux is off. */
  readonly context?: string;
};

/** `layers`: absolute directories, topmost first. */
export async function mountTree(
  mounts: Mounts,
  { noSuid, noDev, context }: ViewSettings,
  layers: readonly string[],
  target: string,
): Promise<void> {
  const flags: MountFlags = { readOnly: true, noSuid, noDev };
  const [only, ...more] = layers;
  if (only !== undefined && more.length === 0) return await mounts.bind({ source: only, target, flags });
  await mounts.overlay({ lower: layers, target, flags, ...(context === undefined ? {} : { context }) });
}
