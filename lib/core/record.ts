// The Record of an inline Volume: the small file that says it exists.
import { createHash } from "node:crypto";
import { type Digest, parseDigest } from "./digest.ts";
import { Failure } from "./failure.ts";
import { type Fields, parseFields, type Refuse } from "./fields.ts";

/** One Volume at one target. Never holds a secret. */
export type InlineRecord = {
  readonly kind: "inline";
  readonly volumeId: string;
  readonly target: string;
  readonly readOnly: boolean;
  /** Whether a pod's own spec made it (and its id is one pod's), or a PersistentVolume. */
  readonly ephemeral: boolean;
  readonly podUid?: string;
  /** The access mode it was published for, in the door's words. */
  readonly mode: string;
  /** The volume's own, without what Kubernetes adds. */
  readonly attributes: ReadonlyMap<string, string>;
  /** Roots of collection: what the reference meant, and the Tree made of it. */
  readonly digest: Digest;
  readonly treeKey: Digest;
  /** What it stands on instead of its Tree's Layers: the same, made over for its pod's group. */
  readonly grouped?: readonly Digest[];
  /** The boot during which it was mounted. */
  readonly boot: string;
  /** Where it may be written to: what of that it may hold, and the project that counts it, where something counts. */
  readonly scratch?: { readonly bytes: number; readonly inodes: number; readonly project?: number };
};

/** Of both kinds. */
export const VERSION = 1;

/** The file that holds the Record of a Volume at a target; ids are any text, so they are hashed. */
export function recordName(volumeId: string, target: string): string {
  return createHash("sha256")
    .update(JSON.stringify([volumeId, target]))
    .digest("hex");
}

/** All that collection has to leave for this volume, where its Tree is here. */
export function rootsOfInline({ treeKey, grouped = [] }: InlineRecord): readonly Digest[] {
  return [treeKey, ...grouped];
}

/** The bytes that parseRecord() reads. */
export function formatRecord(record: InlineRecord): Uint8Array {
  const { attributes, ...rest } = record;
  const text = JSON.stringify({ version: VERSION, ...rest, attributes: Object.fromEntries(attributes) });
  return new TextEncoder().encode(`${text}\n`);
}

/**
 * The fields of a Record of this kind, whichever it is; `name` is for the message. Throws `corrupt` for what no release
 * wrote, and `unsupported` for what a newer one did; `refuse` makes such Failures of what is wrong with the fields.
 */
export function openRecord(
  bytes: Uint8Array,
  name: string,
  kind: string,
): { readonly fields: Fields; readonly refuse: Refuse } {
  const refuse: Refuse = (why, reason = "corrupt") =>
    new Failure(
      reason === "invalid" ? "corrupt" : reason,
      `Cannot read the record "${name}": ${why}; run the release that wrote it, or remove it with its volume`,
    );
  const fields = parseFields(bytes, refuse);
  const version = fields.count("version");
  if (version !== VERSION)
    throw refuse(`its version is ${version}, and this release knows ${VERSION}`, "unsupported");
  const found = fields.text("kind");
  if (found !== kind)
    throw refuse(`it is of the kind "${found}", which this release does not know there`, "unsupported");
  return { fields, refuse };
}

/** The Record that a file holds. Failures as `openRecord` throws them. */
export function parseRecord(bytes: Uint8Array, name: string): InlineRecord {
  const kind = "inline";
  const { fields } = openRecord(bytes, name, kind);
  const podUid = fields.optionalText("podUid");
  const scratch = fields.optionalObject("scratch");
  const grouped = fields.has("grouped") ? fields.texts("grouped").map(parseDigest) : undefined;
  return {
    kind,
    volumeId: fields.text("volumeId"),
    target: fields.text("target"),
    readOnly: fields.boolean("readOnly"),
    ephemeral: fields.boolean("ephemeral"),
    ...(podUid === undefined ? {} : { podUid }),
    mode: fields.text("mode"),
    attributes: fields.textMap("attributes"),
    digest: fields.digest("digest"),
    treeKey: fields.digest("treeKey"),
    ...(grouped === undefined ? {} : { grouped }),
    boot: fields.text("boot"),
    ...(scratch === undefined ? {} : { scratch: readScratch(scratch) }),
  };
}

function readScratch(fields: Fields): NonNullable<InlineRecord["scratch"]> {
  const project = fields.optionalCount("project");
  return {
    bytes: fields.count("bytes"),
    inodes: fields.count("inodes"),
    ...(project === undefined ? {} : { project }),
  };
}

/**
 * The directory that goes when the pod does: the kubelet's for the pod, where the target lies in one,
 * else the one the target is in.
 */
export function podDirectoryOf(target: string): string {
  const ofKubelet = /^(?<directory>.*\/pods\/[^/]+)\/volumes\/kubernetes\.io~csi\/[^/]+\/mount$/s.exec(
    target,
  );
  return ofKubelet?.groups?.["directory"] ?? (target.slice(0, target.lastIndexOf("/")) || "/");
}
