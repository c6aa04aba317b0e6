// Whether a Volume that is asked for is new, is the one that is here already, or cannot be beside it.
import { ownAttributes } from "./attributes.ts";
import { Failure } from "./failure.ts";
import type { InlineRecord } from "./record.ts";

/** What a call asks for. */
export type WantedVolume = Pick<
  InlineRecord,
  "volumeId" | "target" | "readOnly" | "ephemeral" | "mode" | "attributes"
>;

/**
 * "keep" where one of `existing`, the Records of the same volume id, says that it is here already; else "create".
 * Throws `conflict` where it is here otherwise, `in-use` where it is at another target and may be at one only.
 * Attributes that Kubernetes adds do not count: they differ from pod to pod, and tokens from call to call.
 */
export function admit(existing: readonly InlineRecord[], wanted: WantedVolume): "create" | "keep" {
  const here = existing.find(({ target }) => target === wanted.target);
  if (here !== undefined) {
    const different = differenceOf(here, wanted);
    if (different === undefined) return "keep";
    throw new Failure(
      "conflict",
      `Cannot publish the volume "${wanted.volumeId}" at ${wanted.target}: it is there already with ${different}; unpublish it first`,
    );
  }
  const elsewhere = existing[0];
  if (elsewhere === undefined || isForSeveralTargets(wanted)) return "create";
  throw new Failure(
    "in-use",
    `Cannot publish the volume "${wanted.volumeId}" at ${wanted.target}: it is at ${elsewhere.target}, and may be at one target only; unpublish it there first`,
  );
}

/** A PersistentVolume may be in several pods of a node, unless it is ReadWriteOncePod. */
const isForSeveralTargets = ({ ephemeral, mode }: WantedVolume) =>
  !ephemeral && mode !== "single-node-single-writer";

function differenceOf(here: InlineRecord, wanted: WantedVolume): string | undefined {
  if (here.readOnly !== wanted.readOnly) return `readonly ${here.readOnly}`;
  if (here.ephemeral !== wanted.ephemeral)
    return here.ephemeral ? "a pod as its owner" : "a claim as its owner";
  const before = ownAttributes(here.attributes);
  const now = ownAttributes(wanted.attributes);
  const name = [...before.keys(), ...now.keys()].find((key) => before.get(key) !== now.get(key));
  if (name === undefined) return undefined;
  const value = before.get(name);
  return value === undefined ? `no "${name}"` : `"${name}" as "${value.slice(0, 200)}"`;
}
