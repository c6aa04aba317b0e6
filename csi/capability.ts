// How a caller means to use a volume, from CSI's words to ours.
import { Failure } from "../lib/core/failure.ts";
import type { AccessMode, Capability } from "../lib/volumes/requests.ts";
import type { VolumeCapability } from "./protocol.ts";

const MODES: ReadonlyMap<unknown, AccessMode> = new Map([
  ["SINGLE_NODE_WRITER", "single-node-writer"],
  ["SINGLE_NODE_READER_ONLY", "single-node-reader-only"],
  ["SINGLE_NODE_SINGLE_WRITER", "single-node-single-writer"],
  ["SINGLE_NODE_MULTI_WRITER", "single-node-multi-writer"],
  ["MULTI_NODE_READER_ONLY", "multi-node-reader-only"],
  ["MULTI_NODE_SINGLE_WRITER", "multi-node-single-writer"],
  ["MULTI_NODE_MULTI_WRITER", "multi-node-multi-writer"],
]);

/** Throws `invalid` where it says neither mount nor block, or no access mode that is known. */
export function toCapability(capability: VolumeCapability | null): Capability {
  const mode = MODES.get(capability?.access_mode?.mode);
  const access = capability?.mount ? "mount" : capability?.block ? "block" : undefined;
  if (mode === undefined || access === undefined) {
    const lack = access === undefined ? "neither mount nor block" : "no access mode that is known";
    throw new Failure("invalid", `Cannot take the call: its "volume_capability" names ${lack}`);
  }
  return {
    access,
    mode,
    fsType: capability?.mount?.fs_type ?? "",
    mountFlags: capability?.mount?.mount_flags ?? [],
    mountGroup: capability?.mount?.volume_mount_group ?? "",
  };
}
