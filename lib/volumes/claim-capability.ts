// How a claim may be used: by pods of one node, as a file system.
import type { ClaimRecord } from "../core/claim-record.ts";
import { Failure } from "../core/failure.ts";
import type { AccessMode, Capability } from "./requests.ts";

const MODES: ReadonlySet<AccessMode> = new Set([
  "single-node-writer",
  "single-node-reader-only",
  "single-node-single-writer",
  "single-node-multi-writer",
  "multi-node-reader-only",
]);

/** Why a claim cannot be used so; undefined where it can. */
export function refusalOf({ access, mode, fsType, mountFlags }: Capability): string | undefined {
  if (access === "block")
    return "it would be a block device, and claims are file systems; use volumeMode: Filesystem";
  if (!MODES.has(mode))
    return `pods of several nodes would write to it ("${mode}"), and a claim is on one node; use ReadWriteOnce`;
  if (fsType !== "" && fsType !== "xfs")
    return `it would be formatted as "${fsType}", and claims are not formatted; leave the type out`;
  const flag = mountFlags.find((option) => option !== "ro");
  return flag === undefined
    ? undefined
    : `the mount option "${flag}" is not supported; leave mountOptions out`;
}

/** Throws `invalid`. */
export function checkCapabilities(name: string, capabilities: readonly Capability[]): void {
  for (const capability of capabilities) {
    const why = refusalOf(capability);
    if (why !== undefined) throw new Failure("invalid", `Cannot use the volume "${name}" so: ${why}`);
  }
}

const READERS: ReadonlySet<AccessMode> = new Set(["single-node-reader-only", "multi-node-reader-only"]);

/** Whether the mode only lets pods read. */
export function isReader({ mode }: Capability): boolean {
  return READERS.has(mode);
}

/** Throws `in-use` where one pod has it for itself. */
export function refuseSecondTarget(record: ClaimRecord, { mode }: Capability, target: string): void {
  const other = record.publications.find((publication) => publication.target !== target);
  if (other === undefined || mode !== "single-node-single-writer") return;
  throw new Failure(
    "in-use",
    `Cannot publish the volume "${record.volumeId}" at "${target}": it is ReadWriteOncePod and in use at "${other.target}"`,
  );
}
