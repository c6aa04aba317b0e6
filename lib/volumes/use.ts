// What a volume that pods write to uses, and what its limit leaves: as `df` shows it to them.
import type { Files } from "../host/files.ts";
import type { Limits } from "./limits.ts";
import type { Usage, VolumeStats } from "./requests.ts";
import type { Strays } from "./strays.ts";

export type UseDeps = {
  readonly files: Pick<Files, "statFilesystem">;
  readonly limits: Limits;
  readonly strays: Pick<Strays, "of">;
};

export type Limited = {
  readonly volumeId: string;
  /** All that counts is in it. */
  readonly directory: string;
  readonly bytes: number;
  readonly inodes: number;
  readonly project?: number;
};

/**
 * What left its project counts as used too, though the kernel no longer stops it. Where nothing is limited, it is the
 * node's disk that fills up.
 */
export async function readUse(deps: UseDeps, volume: Limited, path: string): Promise<VolumeStats> {
  const { files, limits, strays } = deps;
  const { volumeId, directory, bytes, inodes, project } = volume;
  const used = await limits.usage(project);
  if (used !== undefined && project !== undefined) {
    const out = strays.of({ volumeId, directory, project });
    return { bytes: usageOf(bytes, used.bytes, out.bytes), inodes: usageOf(inodes, used.inodes, out.inodes) };
  }
  const { bytesTotal, bytesFree, inodesTotal, inodesFree } = await files.statFilesystem(path);
  return {
    bytes: usageOf(bytesTotal, bytesTotal - bytesFree),
    inodes: usageOf(inodesTotal, inodesTotal - inodesFree),
  };
}

const usageOf = (total: number, used: number, outside = 0): Usage => ({
  total,
  used: used + outside,
  available: Math.max(0, total - used),
});
