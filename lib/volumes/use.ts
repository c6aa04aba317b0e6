// What a volume that pods write to uses, and what its limit leaves: as `df` shows it to them.
import type { Files } from "../host/files.ts";
import type { Limits } from "./limits.ts";
import type { Usage, VolumeStats } from "./requests.ts";

export type UseDeps = { readonly files: Pick<Files, "statFilesystem">; readonly limits: Limits };

export type Limited = { readonly bytes: number; readonly inodes: number; readonly project?: number };

/** Where nothing is limited, it is the node's disk that fills up. */
export async function readUse(
  { files, limits }: UseDeps,
  { bytes, inodes, project }: Limited,
  path: string,
): Promise<VolumeStats> {
  const used = await limits.usage(project);
  if (used !== undefined) return { bytes: usageOf(bytes, used.bytes), inodes: usageOf(inodes, used.inodes) };
  const { bytesTotal, bytesFree, inodesTotal, inodesFree } = await files.statFilesystem(path);
  return {
    bytes: usageOf(bytesTotal, bytesTotal - bytesFree),
    inodes: usageOf(inodesTotal, inodesTotal - inodesFree),
  };
}

const usageOf = (total: number, used: number): Usage => ({
  total,
  used,
  available: Math.max(0, total - used),
});
