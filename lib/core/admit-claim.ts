// Whether a claim that is asked for is new, is the one that is here already, or cannot be beside it; and how large it is.
import { ownAttributes } from "./attributes.ts";
import type { ClaimRecord } from "./claim-record.ts";
import { Failure } from "./failure.ts";
import { formatBytes } from "./quantity.ts";

/** As CSI has it: 0 is no wish. */
export type SizeRange = { readonly requiredBytes: number; readonly limitBytes: number };

export type WantedClaim = {
  readonly name: string;
  readonly size: SizeRange;
  readonly parameters: ReadonlyMap<string, string>;
};

const DEFAULT_BYTES = 2 ** 30;
/** Below it a file system's own blocks are most of the claim. */
const SMALLEST_BYTES = 2 ** 20;
const BYTES_PER_INODE = 4096;

/** The size of a claim that is asked for so. Throws `out-of-range` where there is none. */
export function sizeOfClaim({ requiredBytes, limitBytes }: SizeRange): number {
  const refuse = (why: string) => new Failure("out-of-range", `Cannot make a claim: ${why}`);
  if (limitBytes > 0 && requiredBytes > limitBytes) {
    throw refuse(
      `it is to have ${formatBytes(requiredBytes)} at least and ${formatBytes(limitBytes)} at most; ask for less or allow more`,
    );
  }
  const leastBytes = Math.max(requiredBytes, SMALLEST_BYTES);
  if (limitBytes > 0 && limitBytes < leastBytes) {
    throw refuse(
      `it may have ${formatBytes(limitBytes)} at most, and the smallest has ${formatBytes(SMALLEST_BYTES)}`,
    );
  }
  if (requiredBytes > 0) return leastBytes;
  return limitBytes > 0 ? Math.min(limitBytes, DEFAULT_BYTES) : DEFAULT_BYTES;
}

/** The files a claim may have where its settings do not say. */
export function inodesOfClaim(bytes: number): number {
  return Math.ceil(bytes / BYTES_PER_INODE);
}

/**
 * "keep" where `existing`, the Record of the same name, is what is wanted; "create" where there is none.
 * Throws `conflict` where it differs, `busy` while it is being deleted. What Kubernetes adds does not count, nor what was modified since; a size it was
 * expanded to does.
 */
export function admitClaim(existing: ClaimRecord | undefined, wanted: WantedClaim): "create" | "keep" {
  if (existing === undefined) return "create";
  if (existing.deletedMs !== undefined) {
    throw new Failure(
      "busy",
      `Cannot make the volume "${wanted.name}": the one of that name is being deleted; it can be made once that is done`,
    );
  }
  const different = differenceOf(existing, wanted);
  if (different === undefined) return "keep";
  throw new Failure(
    "conflict",
    `Cannot make the volume "${wanted.name}": it is here already with ${different}; delete it first, or take another name`,
  );
}

function differenceOf(existing: ClaimRecord, { size, parameters }: WantedClaim): string | undefined {
  const { requiredBytes, limitBytes } = size;
  const isLargeEnough = existing.bytes >= requiredBytes;
  if (!isLargeEnough || (limitBytes > 0 && existing.bytes > limitBytes)) return formatBytes(existing.bytes);
  const before = ownAttributes(existing.parameters);
  const now = ownAttributes(parameters);
  const name = [...before.keys(), ...now.keys()].find((key) => before.get(key) !== now.get(key));
  if (name === undefined) return undefined;
  const value = before.get(name);
  return value === undefined ? `no "${name}"` : `"${name}" as "${value.slice(0, 200)}"`;
}
