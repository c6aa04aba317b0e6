// Artifacts in the misbehaving registry, made byte by byte so that they can be wrong in any way.
import { createHash, randomBytes } from "node:crypto";
import { gzipSync } from "node:zlib";
import type { RegistryDouble } from "../testing/registry-double.ts";

type Part = {
  readonly bytes: Uint8Array | string;
  readonly mediaType?: string;
  readonly annotations?: Readonly<Record<string, string>>;
  /** What the manifest claims, where that is not so. */
  readonly size?: number;
};

type Put = { readonly digest: string; readonly blobs: readonly string[] };

const MANIFEST = "application/vnd.oci.image.manifest.v1+json";
export const INDEX = "application/vnd.oci.image.index.v1+json";
const TITLE = "org.opencontainers.image.title";

type PutOptions = {
  readonly tags?: readonly string[];
  readonly config?: { readonly mediaType: string; readonly bytes: string };
};

/** Stores the parts and a manifest of them, under these tags. */
export function putParts(registry: RegistryDouble, parts: readonly Part[], options: PutOptions = {}): Put {
  const config = options.config ?? { mediaType: "application/vnd.oci.empty.v1+json", bytes: "{}" };
  const layers = parts.map(({ bytes, mediaType = "application/octet-stream", annotations = {}, size }) => {
    const stored = registry.blob(bytes);
    return { mediaType, ...stored, ...(size === undefined ? {} : { size }), annotations };
  });
  const manifest = {
    schemaVersion: 2,
    mediaType: MANIFEST,
    artifactType: "application/vnd.acme.thing",
    config: { mediaType: config.mediaType, ...registry.blob(config.bytes) },
    layers,
  };
  const digest = registry.manifest(JSON.stringify(manifest), { tags: [...(options.tags ?? [])] });
  return { digest, blobs: layers.map((layer) => layer.digest) };
}

/** Titled files. */
export function putFiles(
  registry: RegistryDouble,
  files: Readonly<Record<string, Uint8Array | string>>,
  options: PutOptions = {},
): Put {
  const parts = Object.entries(files).map(([title, bytes]) => ({ bytes, annotations: { [TITLE]: title } }));
  return putParts(registry, parts, options);
}

/** An image of these archives, lowest first. */
export function putImage(
  registry: RegistryDouble,
  archives: readonly Uint8Array[],
  { tags = [] }: Pick<PutOptions, "tags"> = {},
): Put {
  const diffIds = archives.map((bytes) => `sha256:${createHash("sha256").update(bytes).digest("hex")}`);
  const config = { os: "linux", architecture: "amd64", rootfs: { type: "layers", diff_ids: diffIds } };
  const mediaType = "application/vnd.oci.image.layer.v1.tar+gzip";
  const parts = archives.map((bytes) => ({ bytes: gzipSync(bytes), mediaType }));
  return putParts(registry, parts, {
    tags,
    config: { mediaType: "application/vnd.oci.image.config.v1+json", bytes: JSON.stringify(config) },
  });
}

/** A titled directory, of an archive as it would be compressed. */
export function directoryPart(title: string, archive: Uint8Array): Part {
  return {
    bytes: archive,
    mediaType: "application/vnd.oci.image.layer.v1.tar+gzip",
    annotations: { [TITLE]: title, "io.deis.oras.content.unpack": "true" },
  };
}

/** Bytes that no other test has. */
export const unique = (bytes = 100): Buffer => randomBytes(bytes);
