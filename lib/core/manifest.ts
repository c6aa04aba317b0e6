// What a registry says an Artifact is made of: the parsed forms of OCI and Docker manifests.
import type { Digest } from "./digest.ts";
import { Failure } from "./failure.ts";
import { type Fields, parseFields, type Refuse } from "./fields.ts";
import { type Platform, toPlatform } from "./platform.ts";

/** One blob or manifest, as another manifest names it. */
export type Descriptor = {
  readonly mediaType: string;
  readonly digest: Digest;
  readonly size: number;
  readonly annotations: ReadonlyMap<string, string>;
  readonly artifactType?: string;
  readonly platform?: Platform;
  /** Where a foreign layer would have to be fetched from. */
  readonly urls?: readonly string[];
};

export type Manifest = {
  readonly kind: "manifest";
  readonly mediaType: string;
  readonly artifactType?: string;
  readonly config: Descriptor;
  readonly layers: readonly Descriptor[];
  readonly annotations: ReadonlyMap<string, string>;
};

export type Index = {
  readonly kind: "index";
  readonly mediaType: string;
  readonly manifests: readonly Descriptor[];
  readonly annotations: ReadonlyMap<string, string>;
};

const OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json";
const OCI_INDEX = "application/vnd.oci.image.index.v1+json";
const DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json";
const DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json";

/** Anything else a registry may have is refused by name. */
const MANIFEST_MEDIA_TYPES: readonly string[] = [OCI_MANIFEST, OCI_INDEX, DOCKER_MANIFEST, DOCKER_LIST];

/** More entries than any 32 MiB manifest of real files has; each becomes a file or a Layer here. */
const MAX_ENTRIES = 65_536;

/**
 * The manifest or index that `bytes` hold; `mediaType` is the registry's word, used where the bytes name none.
 * Throws `corrupt` for what is no JSON, `unsupported` for another kind of document, `invalid` for what is malformed.
 */
export function parseManifest(
  bytes: Uint8Array,
  from: { readonly digest?: Digest; readonly mediaType?: string } = {},
): Manifest | Index {
  const refuse: Refuse = (why, reason = "invalid") =>
    new Failure(
      reason,
      `Cannot read the manifest${from.digest === undefined ? "" : ` ${from.digest}`}: ${why}; push the artifact again with a current tool`,
    );
  const fields = parseFields(bytes, refuse);
  refuseOtherKinds(fields, refuse);
  // CVE-2021-41190: a document that is both would be read as one here and as the other elsewhere.
  const isIndex = fields.has("manifests");
  if (isIndex && (fields.has("layers") || fields.has("config"))) {
    throw refuse("it is an index and a manifest at once");
  }
  const expected = isIndex ? [OCI_INDEX, DOCKER_LIST] : [OCI_MANIFEST, DOCKER_MANIFEST];
  const stated = fields.optionalText("mediaType");
  if (stated !== undefined && !expected.includes(stated)) {
    throw refuse(
      `its media type "${stated}" is not one of ${expected.join(", ")}`,
      MANIFEST_MEDIA_TYPES.includes(stated) ? "invalid" : "unsupported",
    );
  }
  const told = expected.find((type) => type === from.mediaType);
  const mediaType = stated ?? told ?? (isIndex ? OCI_INDEX : OCI_MANIFEST);
  return isIndex ? toIndex(fields, mediaType) : toManifest(fields, mediaType);
}

function refuseOtherKinds(fields: Fields, refuse: Refuse): void {
  if (fields.has("fsLayers") || fields.optionalCount("schemaVersion") === 1) {
    throw refuse("it is a Docker schema 1 manifest, which is not supported", "unsupported");
  }
  if (fields.has("blobs") && !fields.has("layers")) {
    throw refuse("it is an OCI artifact manifest of 1.1's drafts, which is not supported", "unsupported");
  }
}

function toManifest(fields: Fields, mediaType: string): Manifest {
  const artifactType = fields.optionalText("artifactType");
  return {
    kind: "manifest",
    mediaType,
    ...(artifactType === undefined ? {} : { artifactType }),
    config: toDescriptor(fields.object("config")),
    layers: toDescriptors(fields, "layers"),
    annotations: fields.textMap("annotations"),
  };
}

function toIndex(fields: Fields, mediaType: string): Index {
  return {
    kind: "index",
    mediaType,
    manifests: toDescriptors(fields, "manifests"),
    annotations: fields.textMap("annotations"),
  };
}

function toDescriptors(fields: Fields, name: string): readonly Descriptor[] {
  const entries = fields.objects(name);
  if (entries.length > MAX_ENTRIES) {
    throw fields.refuse(name, `has ${entries.length} entries, more than ${MAX_ENTRIES}`, "unsupported");
  }
  return entries.map(toDescriptor);
}

function toDescriptor(fields: Fields): Descriptor {
  const artifactType = fields.optionalText("artifactType");
  const platform = toPlatform(fields.optionalObject("platform"));
  const urls = fields.texts("urls");
  return {
    mediaType: fields.text("mediaType"),
    digest: fields.digest("digest"),
    size: fields.count("size"),
    annotations: fields.textMap("annotations"),
    ...(artifactType === undefined ? {} : { artifactType }),
    ...(platform === undefined ? {} : { platform }),
    ...(urls.length === 0 ? {} : { urls }),
  };
}
