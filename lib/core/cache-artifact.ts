// A version of a Cache as an artifact: an image that others mount, with what Larder has to know of it in annotations.
import {
  compareVersions,
  keyTag,
  parseVersionTag,
  type Version,
  versionsOfKey,
  versionTag,
} from "./cache-key.ts";
import { type Digest, digestOf } from "./digest.ts";
import type { Compression } from "./layer-plan.ts";
import type { Descriptor, Manifest } from "./manifest.ts";
import { normalizePlatform, type Platform } from "./platform.ts";

export type CacheVersion = {
  readonly key: string;
  readonly version: Version;
  /** What its files take, unpacked. */
  readonly bytes: number;
  /** Never to be its key's head: it began in trouble. */
  readonly isKeyless: boolean;
  /** The version it was made over. */
  readonly base?: Digest;
};

export type CacheLayer = Pick<Descriptor, "mediaType" | "digest" | "size" | "annotations"> & {
  readonly diffId: Digest;
};

const MANIFEST_MEDIA_TYPE = "application/vnd.oci.image.manifest.v1+json";
const CONFIG_MEDIA_TYPE = "application/vnd.oci.image.config.v1+json";
const ARTIFACT_TYPE = "application/vnd.larder.cache.v1";
const KEY = "dev.larder.cache.key";
const TIME = "dev.larder.cache.time";
const ID = "dev.larder.cache.id";
const BYTES = "dev.larder.cache.bytes";
const KEYLESS = "dev.larder.cache.keyless";
const BASE = "dev.larder.cache.base";

/** A layer made here. A portable one says what plain `oras pull` needs to unpack it. */
export function toCacheLayer(
  packed: { readonly digest: Digest; readonly size: number; readonly diffId: Digest },
  compression: Compression,
  isPortable: boolean,
): CacheLayer {
  const ending = compression === "none" ? "" : `+${compression}`;
  const forOras: ReadonlyArray<readonly [string, string]> = [
    ["org.opencontainers.image.title", "."],
    ["io.deis.oras.content.unpack", "true"],
    ["io.deis.oras.content.digest", packed.diffId],
  ];
  return {
    ...packed,
    mediaType: `application/vnd.oci.image.layer.v1.tar${ending}`,
    annotations: new Map(isPortable ? forOras : []),
  };
}

/** Config and manifest, the same bytes for the same version: no clock, no order but the layers'. */
export function formatCacheArtifact(
  version: CacheVersion,
  layers: readonly CacheLayer[],
  platform: Platform,
): {
  readonly config: Uint8Array;
  readonly manifest: { readonly bytes: Uint8Array; readonly mediaType: string };
} {
  const { os, architecture, variant } = normalizePlatform(platform);
  const config = toBytes({
    architecture,
    ...(variant === undefined ? {} : { variant }),
    os,
    config: {},
    rootfs: { type: "layers", diff_ids: layers.map(({ diffId }) => diffId) },
  });
  const bytes = toBytes({
    schemaVersion: 2,
    mediaType: MANIFEST_MEDIA_TYPE,
    artifactType: ARTIFACT_TYPE,
    config: { mediaType: CONFIG_MEDIA_TYPE, digest: digestOf(config), size: config.length },
    layers: layers.map(({ mediaType, digest, size, annotations }) => ({
      mediaType,
      digest,
      size,
      ...(annotations.size === 0 ? {} : { annotations: sorted(annotations) }),
    })),
    annotations: toAnnotations(version),
  });
  return { config, manifest: { bytes, mediaType: MANIFEST_MEDIA_TYPE } };
}

/** What a manifest says of the version it is; undefined where others than Larder made it, or it does not hold together. */
export function readCacheVersion({ artifactType, annotations }: Manifest): CacheVersion | undefined {
  const key = annotations.get(KEY);
  const bytes = Number(annotations.get(BYTES) ?? Number.NaN);
  if (artifactType !== ARTIFACT_TYPE || !key?.isWellFormed() || !Number.isSafeInteger(bytes) || bytes < 0) {
    return undefined;
  }
  const version = parseVersionTag(`${keyTag(key)}.${annotations.get(TIME)}.${annotations.get(ID)}`);
  if (version === undefined) return undefined;
  const base = annotations.get(BASE);
  return {
    key,
    version: { timeMs: version.timeMs, id: version.id },
    bytes,
    isKeyless: annotations.get(KEYLESS) === "true",
    ...(base !== undefined && /^sha256:[0-9a-f]{64}$/.test(base) ? { base: base as Digest } : {}),
  };
}

/** The tags of a version, and what of others is newer and may have its key. */
export function contestKey(key: string, own: Version) {
  return {
    versionTag: versionTag(key, own),
    tag: keyTag(key),
    /** The newest first. */
    newerTags: (tags: readonly string[]): readonly string[] =>
      versionsOfKey(tags, key)
        .filter((other) => compareVersions(other, own) > 0)
        .map(({ tag }) => tag),
    isNewer: (manifest: Manifest): boolean => {
      const other = readCacheVersion(manifest);
      if (other?.key !== key || other.isKeyless) return false;
      return compareVersions(other.version, own) > 0;
    },
  };
}

/** Which tags of a key's versions go when the newest `versions` are kept; the key's own tag stays with what it names. */
export function planPruning(
  tags: readonly string[],
  key: string,
  versions: number,
): { readonly doomed: readonly string[]; readonly kept: readonly string[] } {
  const all = versionsOfKey(tags, key).map(({ tag }) => tag);
  const head = tags.includes(keyTag(key)) ? [keyTag(key)] : [];
  return { doomed: all.slice(versions), kept: [...head, ...all.slice(0, versions)] };
}

function toAnnotations({ key, version, bytes, isKeyless, base }: CacheVersion): Record<string, string> {
  return {
    ...(base === undefined ? {} : { [BASE]: base }),
    [BYTES]: String(bytes),
    [ID]: version.id,
    [KEY]: key,
    ...(isKeyless ? { [KEYLESS]: "true" } : {}),
    [TIME]: String(version.timeMs),
  };
}

const sorted = (annotations: ReadonlyMap<string, string>) =>
  Object.fromEntries([...annotations].toSorted(([one], [other]) => (one < other ? -1 : 1)));

const toBytes = (value: unknown) => new TextEncoder().encode(JSON.stringify(value));
