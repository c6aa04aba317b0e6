// The artifact that one version of a Cache is: an image for others, and for Larder annotations that say which version.
import { parseKey, parseVersionTag, type Version, versionTag } from "./cache-key.ts";
import { type Digest, digestOf } from "./digest.ts";
import { isFailure } from "./failure.ts";
import type { Descriptor, Manifest } from "./manifest.ts";
import { normalizePlatform, type Platform } from "./platform.ts";

export type VersionLayer = {
  readonly mediaType: string;
  readonly digest: Digest;
  readonly size: number;
  readonly diffId: Digest;
  /** What plain `oras pull` unpacks it as, where it is gzip. */
  readonly title?: string;
  /** What claims wrote, rather than what they began with. */
  readonly isWritten: boolean;
};

export type VersionContent = {
  readonly key: string;
  readonly version: Version;
  /** Of the files that it shows, without holes; what its layers hide of each other is not counted, as far as that is known. */
  readonly bytes: number;
  /** Never to be its key's head, since it began in trouble. */
  readonly isKeyless: boolean;
  readonly platform: Platform;
  /** Lowest first. */
  readonly layers: readonly VersionLayer[];
};

/** What a manifest says of itself, as far as it makes sense. */
export type VersionSaid = {
  readonly key?: string;
  readonly version?: Version;
  readonly bytes: number;
  readonly isKeyless: boolean;
};

const CACHE_ARTIFACT = "application/vnd.larder.cache.v1";
const MANIFEST = "application/vnd.oci.image.manifest.v1+json";
const CONFIG = "application/vnd.oci.image.config.v1+json";
const NAMES = {
  key: "dev.larder.cache.key",
  time: "dev.larder.cache.time",
  id: "dev.larder.cache.id",
  bytes: "dev.larder.cache.bytes",
  keyless: "dev.larder.cache.keyless",
  written: "dev.larder.cache.written",
} as const;

/** Config and manifest of a version: the same bytes for the same content, so without any clock but the version's own. */
export function composeVersion(content: VersionContent): {
  readonly config: Uint8Array;
  readonly manifest: { readonly bytes: Uint8Array; readonly mediaType: string; readonly digest: Digest };
} {
  const { key, version, layers } = content;
  const { os, architecture, variant } = normalizePlatform(content.platform);
  const config = encode({
    architecture,
    ...(variant === undefined ? {} : { variant }),
    os,
    config: {},
    rootfs: { type: "layers", diff_ids: layers.map(({ diffId }) => diffId) },
  });
  const manifest = encode({
    schemaVersion: 2,
    mediaType: MANIFEST,
    artifactType: CACHE_ARTIFACT,
    config: { mediaType: CONFIG, digest: digestOf(config), size: config.length },
    layers: layers.map(toDescriptor),
    annotations: {
      [NAMES.key]: key,
      [NAMES.time]: String(version.timeMs),
      [NAMES.id]: version.id,
      [NAMES.bytes]: String(content.bytes),
      ...(content.isKeyless ? { [NAMES.keyless]: "true" } : {}),
    },
  });
  return { config, manifest: { bytes: manifest, mediaType: MANIFEST, digest: digestOf(manifest) } };
}

/** Annotations are a stranger's words: odd ones count as unsaid, and others than Larder make no versions. */
export function readVersion({ artifactType, annotations, layers }: Manifest): VersionSaid {
  const packed = layers.reduce((sum, { size }) => sum + size, 0);
  const said = Number(annotations.get(NAMES.bytes));
  // Nothing hides what lies on top, which cannot take less than it takes packed, whatever is said.
  const least = layers.at(-1)?.size ?? 0;
  const bytes = Number.isSafeInteger(said) && said > 0 ? Math.max(said, least) : packed;
  const key = annotations.get(NAMES.key);
  if (artifactType !== CACHE_ARTIFACT || key === undefined || !isKey(key)) return { bytes, isKeyless: false };
  const isKeyless = annotations.get(NAMES.keyless) === "true";
  const version = parseVersionTag(
    versionTag(key, { timeMs: Number(annotations.get(NAMES.time)), id: annotations.get(NAMES.id) ?? "" }),
  );
  if (version === undefined) return { key, bytes, isKeyless };
  return { key, version: { timeMs: version.timeMs, id: version.id }, bytes, isKeyless };
}

/** Whether claims wrote this layer of the manifest: what it holds is whatever their pods gave it. */
export function isWrittenLayer({ artifactType }: Manifest, { annotations }: Descriptor): boolean {
  return artifactType === CACHE_ARTIFACT && annotations.get(NAMES.written) === "true";
}

function isKey(text: string): boolean {
  try {
    return parseKey(text) === text;
  } catch (error) {
    if (isFailure(error, "invalid")) return false;
    throw error;
  }
}

function toDescriptor({ mediaType, digest, size, diffId, title, isWritten }: VersionLayer): object {
  const written = isWritten ? { [NAMES.written]: "true" } : {};
  if (title === undefined) return { mediaType, digest, size, ...(isWritten ? { annotations: written } : {}) };
  const annotations = {
    ...written,
    "io.deis.oras.content.digest": diffId,
    "io.deis.oras.content.unpack": "true",
    "org.opencontainers.image.title": title,
  };
  return { mediaType, digest, size, annotations };
}

const encode = (value: object): Uint8Array => new TextEncoder().encode(JSON.stringify(value));
