// The layers of a claim's base as an image in a registry has them: what a version that changes it is built on.
import type { Access } from "../core/access.ts";
import { versionTag } from "../core/cache-key.ts";
import { isWrittenLayer, readVersion, type VersionLayer } from "../core/cache-manifest.ts";
import type { ClaimRecord } from "../core/claim-record.ts";
import { triedForMs } from "../core/claim-steps.ts";
import type { Digest } from "../core/digest.ts";
import { type Failure, isFailure } from "../core/failure.ts";
import { diffIdsOf } from "../core/image-plan.ts";
import type { Descriptor, Manifest } from "../core/manifest.ts";
import type { Platform } from "../core/platform.ts";
import type { Reference } from "../core/reference.ts";
import type { Keyring } from "../registry/keyring.ts";
import type { Reader } from "../registry/reader.ts";
import { readArtifact } from "../trees/artifact.ts";
import { withAccess } from "./cache-access.ts";

export type VersionBase = {
  /** Lowest first; none where the claim began empty. */
  readonly layers: readonly VersionLayer[];
  /** Unpacked, as far as its manifest tells. */
  readonly bytes: number;
  readonly source?: { readonly access: Access; readonly manifest: Digest };
};

export type VersionBaseDeps = {
  readonly keyring: Keyring;
  readonly reader: Reader;
  readonly platform: Platform;
};

export type BaseSearch = {
  readonly record: ClaimRecord;
  readonly secrets: ReadonlyMap<string, string>;
  readonly signal: AbortSignal;
  readonly nowMs: number;
};

/** Why these layers are not to be built on, in words. */
export type NoBase = { readonly why: string };

const OCI_LAYER = "application/vnd.oci.image.layer.v1.tar";
const DOCKER_LAYER = "application/vnd.docker.image.rootfs.diff.tar";

/**
 * The base, or why all of the claim has to be packed instead. Failures are those that may pass: unavailable, and
 * denied at the claim's own repository; at another, unavailable for the first half of its push-deadline.
 */
export async function readVersionBase(
  deps: VersionBaseDeps,
  search: BaseSearch,
): Promise<VersionBase | NoBase> {
  const { record, secrets, signal } = search;
  const { base, settings } = record;
  if (base === undefined || base.layers.length === 0) return { layers: [], bytes: 0 };
  const reference = referenceOf(record);
  if (reference === undefined) return { why: "nothing names its base" };
  // Of such an artifact the claim has a part only.
  if (settings.mediaTypes !== undefined) return { why: "its base is a part of an artifact" };
  try {
    const asking = { keyring: deps.keyring, settings, secrets, signal };
    return await withAccess(asking, reference, (access) => readAt(deps, search, access, reference));
  } catch (error) {
    if (!isFailure(error) || isWaitedFor(search, error)) throw error;
    return { why: `its base cannot be read: ${error.message}` };
  }
}

/** A head of this node was named by its version's tag alone, where it was pushed at all. */
function referenceOf({ base, settings: { from, cache } }: ClaimRecord): Reference | undefined {
  const place = base?.origin === "from" ? from : cache;
  if (place === undefined || base === undefined) return undefined;
  const { host, repository } = place;
  if (base.tree !== undefined) return { host, repository, digest: base.tree.digest };
  if (cache === undefined || base.version === undefined) return undefined;
  return { host, repository, tag: versionTag(cache.key, base.version) };
}

/** A registry that is only read from may be gone for good: nothing is to be lost for that. */
function isWaitedFor({ record, nowMs }: BaseSearch, { reason }: Failure): boolean {
  if (record.base?.origin !== "from") return reason === "unavailable" || reason === "denied";
  return reason === "unavailable" && triedForMs(record, nowMs) < record.terms.pushDeadlineMs / 2;
}

async function readAt(
  { reader, platform }: VersionBaseDeps,
  { record, signal }: BaseSearch,
  access: Access,
  reference: Reference,
): Promise<VersionBase | NoBase> {
  const digest = reference.digest ?? (await reader.resolve(access, reference, signal)).digest;
  const wanted = { digest, platform: record.settings.platform ?? platform };
  const { digest: manifestDigest, manifest, config } = await readArtifact(reader, access, wanted, signal);
  const diffIds = config === undefined ? undefined : diffIdsOf(manifest, config);
  if (diffIds === undefined) return { why: "its base is not an image" };
  const layers = manifest.layers.flatMap((layer, at) => toLayer(manifest, layer, diffIds[at]) ?? []);
  if (layers.length < diffIds.length)
    return { why: "its base has layers of a kind that cannot be passed on" };
  return { layers, bytes: readVersion(manifest).bytes, source: { access, manifest: manifestDigest } };
}

function toLayer(
  manifest: Manifest,
  layer: Descriptor,
  diffId: Digest | undefined,
): VersionLayer | undefined {
  const { digest, size } = layer;
  // What Docker calls otherwise is the same archive.
  const mediaType = layer.mediaType.replace(DOCKER_LAYER, OCI_LAYER).replace(/\.(gzip|zstd)$/, "+$1");
  if (diffId === undefined || layer.urls !== undefined || !mediaType.startsWith(OCI_LAYER)) return undefined;
  return { mediaType, digest, size, diffId, isWritten: isWrittenLayer(manifest, layer) };
}
