// The mode and time that an artifact states for a file of its own.
import { Failure } from "./failure.ts";
import { parseFields, type Refuse } from "./fields.ts";
import type { Descriptor } from "./manifest.ts";

/** Ours: a titled file's permission bits in octal, such as `0755`; ORAS itself keeps none for single files. */
const FILE_MODE_ANNOTATION = "dev.larder.file.mode";

const METADATA_ANNOTATIONS = ["org.cncf.model.file.metadata+json", "org.cnai.model.file.metadata+json"];

export type FileAttributes = { readonly mode: number; readonly mtime: number };

/**
 * What the annotations of `layer` say: ours before ModelPack's, and 0644 at the epoch where they say nothing.
 * Only the nine permission bits are taken: no annotation makes a file setuid, setgid or sticky.
 * Throws `invalid` for what cannot be read.
 */
export function fileAttributesOf(layer: Descriptor): FileAttributes {
  const stated = metadataOf(layer);
  const annotated = layer.annotations.get(FILE_MODE_ANNOTATION);
  return {
    mode: annotated === undefined ? stated.mode : parseMode(annotated),
    mtime: stated.mtime,
  };
}

const DEFAULT_MODE = 0o644;

function parseMode(text: string): number {
  if (/^(?:0o?)?[0-7]{3}$/.test(text)) return Number.parseInt(text.slice(-3), 8);
  throw new Failure(
    "invalid",
    `Cannot use the mode "${text.slice(0, 80)}" of the annotation "${FILE_MODE_ANNOTATION}": write permission bits in octal, such as 0755`,
  );
}

function metadataOf(layer: Descriptor): FileAttributes {
  const name = METADATA_ANNOTATIONS.find((key) => layer.annotations.has(key));
  if (name === undefined) return { mode: DEFAULT_MODE, mtime: 0 };
  const refuse: Refuse = (why) =>
    new Failure("invalid", `Cannot use the annotation "${name}" of the layer ${layer.digest}: ${why}`);
  const fields = parseFields(layer.annotations.get(name) ?? "", refuse);
  const mode = (fields.optionalCount("mode") ?? 0) % 0o1000;
  const time = fields.optionalText("mtime");
  const seconds = time === undefined ? 0 : Math.floor(Date.parse(time) / 1000);
  if (Number.isNaN(seconds)) throw fields.refuse("mtime", `is "${time?.slice(0, 80)}", not a time`);
  // Go writes a mode of 0 and the year 1 for what it does not know.
  return { mode: mode === 0 ? DEFAULT_MODE : mode, mtime: Math.max(0, seconds) };
}
