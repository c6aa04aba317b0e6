// Makes sure that a manifest stands in a registry, under its digest or under a tag.
import type { Access } from "../core/access.ts";
import { type Digest, digestOf } from "../core/digest.ts";
import { Failure, isFailure } from "../core/failure.ts";
import { type Manifest, parseManifest } from "../core/manifest.ts";
import { insist } from "./insist.ts";
import type { Standing } from "./upstream.ts";
import { nameOf, type PushDeps, type VersionPush, type Watch } from "./version-push.ts";

type Placed = {
  readonly access: Access;
  readonly manifest: VersionPush["manifest"];
};

/** Under its digest. `blobs-missing` where the registry lacks a blob that it names. */
export async function putManifest(
  deps: PushDeps,
  { access, manifest }: Placed,
  signal: AbortSignal,
): Promise<"stands" | "blobs-missing"> {
  const digest = digestOf(manifest.bytes);
  const found = await standingOrBroken(deps, { access, digest }, signal);
  if (found === "whole") return "stands";
  // ORAS sends no manifest that a registry claims to have.
  if (found === "broken") await deleteBroken(deps, { access, digest }, signal);
  try {
    await put(deps, { access, manifest }, digest, signal);
    return "stands";
  } catch (error) {
    if (isFailure(error, "not-found")) return "blobs-missing";
    throw error;
  }
}

/** Under a tag, wherever that points now. Failure: conflict, where the registry lets it point nowhere else. */
export async function putTag(
  deps: PushDeps,
  { access, manifest, tag }: Placed & { readonly tag: string },
  signal: AbortSignal,
): Promise<void> {
  try {
    await put(deps, { access, manifest }, tag, signal);
  } catch (error) {
    // A registry with immutable tags may refuse even what is so already.
    const found = await deps.upstream.standing(access, tag, signal);
    if (found?.digest === digestOf(manifest.bytes)) return;
    if (isFailure(error, "not-found")) throw lostMeanwhile({ access, tag }, error);
    if (!isFailure(error, "invalid") && !isFailure(error, "conflict")) throw error;
    const why =
      found === undefined
        ? "the registry refuses the tag, although it took the manifest; check its rules for tags"
        : `the registry lets it not be moved from ${found.digest}; allow this tag to be moved, or use another repository`;
    throw new Failure("conflict", `Cannot tag ${nameOf(access)}:${tag}: ${why}`, { cause: error });
  }
}

/** Whoever deletes versions may have met this one in between. */
export async function confirmTag(
  { upstream }: PushDeps,
  { access, tag, digest }: { readonly access: Access; readonly tag: string; readonly digest: Digest },
  { signal }: Watch,
): Promise<void> {
  if ((await upstream.standing(access, tag, signal))?.digest === digest) return;
  throw new Failure(
    "unavailable",
    `Cannot push ${nameOf(access)}:${tag}: the registry confirmed the tag and does not have it; it is tried again later`,
  );
}

/** Undefined for what is no manifest of one artifact. */
export function readStanding({ bytes, mediaType }: Standing): Manifest | undefined {
  try {
    const parsed = parseManifest(bytes, { mediaType });
    return parsed.kind === "manifest" ? parsed : undefined;
  } catch (error) {
    if (isFailure(error)) return undefined;
    throw error;
  }
}

/** Not as not-found: to whoever deletes a volume that would sound like done. */
function lostMeanwhile(at: { readonly access: Access; readonly tag: string }, cause: unknown): Failure {
  return new Failure(
    "unavailable",
    `Cannot tag ${nameOf(at.access)}:${at.tag}: the registry has lost a blob that it had a moment ago; it is sent again later`,
    { cause },
  );
}

/** Whether the manifest stands whole under its digest. */
export async function standingOrBroken(
  deps: PushDeps,
  { access, digest }: { readonly access: Access; readonly digest: Digest },
  signal: AbortSignal,
): Promise<"whole" | "none" | "broken"> {
  try {
    return (await deps.upstream.standing(access, digest, signal)) === undefined ? "none" : "whole";
  } catch (error) {
    if (isFailure(error, "denied")) return "none";
    if (isFailure(error, "corrupt")) return "broken";
    throw error;
  }
}

async function put(
  deps: PushDeps,
  { access, manifest }: Placed,
  name: string,
  signal: AbortSignal,
): Promise<void> {
  const push = async () => await deps.oras.pushManifest(access, { ...manifest, name }, { signal });
  await insist(deps, access.host, push, signal);
}

async function deleteBroken(
  deps: PushDeps,
  { access, digest }: { readonly access: Access; readonly digest: Digest },
  signal: AbortSignal,
): Promise<void> {
  const remove = async () => await deps.oras.deleteManifest(access, digest, { signal });
  await insist(deps, access.host, remove, signal).catch((error: unknown) => {
    if (!isFailure(error)) throw error;
  });
}
