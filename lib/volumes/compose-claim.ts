// What version of its Cache a claim's write-back is, and the artifact that it is made into.
import { type Version, versionTag } from "../core/cache-key.ts";
import { composeVersion, type VersionLayer } from "../core/cache-manifest.ts";
import type { ClaimRecord } from "../core/claim-record.ts";
import type { ClaimCache } from "../core/claim-settings.ts";
import type { Platform } from "../core/platform.ts";
import type { PackedClaim } from "./pack-claim.ts";

/** Fixed by the commit. */
export type Fixed = { readonly cache: ClaimCache; readonly version: Version; readonly tag: string };

export function fixedOf({ settings: { cache }, commit, id }: ClaimRecord): Fixed {
  if (cache === undefined || commit === undefined) throw new Error("only what was committed is pushed");
  const version = { timeMs: commit.timeMs, id };
  return { cache, version, tag: versionTag(cache.key, version) };
}

/** The same bytes for the same packing. */
export function compose(
  { platform }: { readonly platform: Platform },
  version: {
    readonly record: ClaimRecord;
    readonly packed: PackedClaim;
    readonly fixed: Fixed;
    readonly isKeyless: boolean;
  },
) {
  const { record, packed, fixed, isKeyless } = version;
  return composeVersion({
    key: fixed.cache.key,
    version: fixed.version,
    bytes: packed.bytes,
    isKeyless,
    platform: record.settings.platform ?? platform,
    layers: [...packed.base.layers, ...packed.parts.map((part) => toLayer(part, record))],
  });
}

function toLayer(
  { digest, size, diffId }: PackedClaim["parts"][number],
  { settings: { format } }: ClaimRecord,
): VersionLayer {
  const of = "application/vnd.oci.image.layer.v1.tar";
  const written = { digest, size, diffId, isWritten: true };
  if (format === "portable") return { ...written, mediaType: `${of}+gzip`, title: "." };
  return { ...written, mediaType: `${of}+zstd` };
}
