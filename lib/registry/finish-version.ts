// Ends the push of a version that an earlier call tagged: nothing of it is packed or sent again.
import type { Access } from "../core/access.ts";
import type { Digest } from "../core/digest.ts";
import { isFailure } from "../core/failure.ts";
import { type Manifest, parseManifest } from "../core/manifest.ts";
import { moveKey } from "./move-key.ts";
import { confirmTag } from "./put-manifest.ts";
import type { Standing } from "./upstream.ts";
import type { Key, PushDeps, VersionPushed, Watch } from "./version-push.ts";

export type TaggedVersion = {
  readonly access: Access;
  /** What was to be tagged. */
  readonly digest: Digest;
  readonly tag: string;
  readonly key?: Key;
};

/**
 * As pushVersion() for a version whose tag stands and which the registry has whole; undefined for any other, with
 * nothing changed. Tags come last, so what one names was there whole once; but a registry may have lost some since.
 */
export async function finishVersion(
  deps: PushDeps,
  version: TaggedVersion,
  watch: Watch,
): Promise<(VersionPushed & { readonly manifest: Manifest }) | undefined> {
  const { access, digest, tag, key } = version;
  const found = await standing(deps, version, watch);
  if (found?.digest !== digest) return undefined;
  const manifest = parseManifest(found.bytes, found);
  if (manifest.kind === "index" || !(await isWhole(deps, access, manifest, watch))) return undefined;
  const moved = await moveKey(
    deps,
    { access, manifest: found, ...(key === undefined ? {} : { key }) },
    watch,
  );
  await confirmTag(deps, { access, tag, digest }, watch);
  return { kind: "pushed", digest, sentBytes: 0, ...moved, manifest };
}

/** Undefined too where the registry says nothing of a repository that it has not, or where what stands is spoilt. */
async function standing(
  { upstream }: PushDeps,
  { access, tag }: TaggedVersion,
  { signal }: Watch,
): Promise<Standing | undefined> {
  try {
    return await upstream.standing(access, tag, signal);
  } catch (error) {
    if (isFailure(error, "denied") || isFailure(error, "corrupt")) return undefined;
    throw error;
  }
}

async function isWhole(
  { upstream }: PushDeps,
  access: Access,
  { layers, config }: Manifest,
  { signal }: Watch,
): Promise<boolean> {
  const held = await Promise.all(
    [...layers, config].map(async (blob) => await upstream.holds(access, blob, signal)),
  );
  return held.every((one) => one === "whole");
}
