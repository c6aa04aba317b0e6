// Moves a Cache's key to the version just pushed, unless a newer one is there, whoever else is moving it.
import { readVersion } from "../core/cache-manifest.ts";
import { digestOf } from "../core/digest.ts";
import { Failure, isFailure } from "../core/failure.ts";
import { insist } from "./insist.ts";
import { putTag, readStanding } from "./put-manifest.ts";
import type { Standing } from "./upstream.ts";
import {
  type Key,
  type KeyMove,
  type KeyOutcome,
  nameOf,
  type PushDeps,
  type VersionPush,
  type Watch,
} from "./version-push.ts";

/** As many others as may get in between before it is left to the next call. */
const MOST_ROUNDS = 8;

type Contest = Pick<VersionPush, "access" | "manifest"> & { readonly key: Key };
type Last = Pick<KeyMove, "tags"> & { readonly digest: Standing["digest"] };

/**
 * Registries have no compare-and-swap. But whoever moves a key has tagged a version before and looks for newer ones
 * after: so the last to move it sees them all, and the newest has the key in the end. A version without a key leaves it.
 */
export async function moveKey(
  deps: PushDeps,
  { access, key, manifest }: Pick<VersionPush, "access" | "manifest" | "key">,
  watch: Watch,
): Promise<KeyMove> {
  if (key === undefined) return { key: { state: "left" } };
  const { signal } = watch;
  const own = digestOf(manifest.bytes);
  const head = await deps.upstream.standing(access, key.tag, signal);
  if (head !== undefined && head.digest !== own && isNewer(key, head))
    return { key: { state: "superseded", by: head.digest } };
  if (head?.digest !== own) await putTag(deps, { access, manifest, tag: key.tag }, signal);
  await watch.onStep?.("key-tag");
  const { digest: last, ...tags } = await settle(deps, { access, key, manifest }, signal);
  await watch.onStep?.("key-checked");
  if (last !== own) return { key: { state: "superseded", by: last }, ...tags };
  return { key: head === undefined || head.digest === own ? { state: "moved" } : movedFrom(head), ...tags };
}

function movedFrom(head: Standing): KeyOutcome {
  const before = readStanding(head);
  const version = before === undefined ? undefined : readVersion(before).version;
  return {
    state: "moved",
    previous: head.digest,
    ...(version === undefined ? {} : { previousVersion: version }),
  };
}

/** Until the key points at the newest version of all that are tagged; resolves to that. */
async function settle(deps: PushDeps, version: Contest, signal: AbortSignal): Promise<Last> {
  const { access, key, manifest } = version;
  for (let round = 0; round < MOST_ROUNDS; round += 1) {
    const listed = await listTags(deps, access, signal);
    const tags = listed === undefined ? {} : { tags: listed };
    const newest = await newestOf(deps, { ...version, tags: listed ?? [] }, signal);
    const wanted = newest ?? manifest;
    const digest = digestOf(wanted.bytes);
    const head = await deps.upstream.standing(access, key.tag, signal);
    if (head?.digest === digest) return { digest, ...tags };
    // Newer than this one without a version's tag: whoever moved it looks for the newest in turn.
    if (newest === undefined && head !== undefined && isNewer(key, head))
      return { digest: head.digest, ...tags };
    await putTag(deps, { access, manifest: wanted, tag: key.tag }, signal);
  }
  throw new Failure(
    "unavailable",
    `Cannot move ${nameOf(access)}:${key.tag}: others move it all the time; it is tried again later`,
  );
}

/** Some let nobody list tags: then the moving tag alone has to tell. */
async function listTags(
  deps: PushDeps,
  access: Contest["access"],
  signal: AbortSignal,
): Promise<readonly string[] | undefined> {
  const list = async () => await deps.oras.listTags(access, { signal });
  return await insist(deps, access.host, list, signal).catch((error: unknown) => {
    const isRefused = ["denied", "unsupported", "not-found", "invalid"].some(
      (reason) => isFailure(error) && error.reason === reason,
    );
    if (isRefused) return undefined;
    throw error;
  });
}

async function newestOf(
  deps: PushDeps,
  { access, key, tags }: Contest & { readonly tags: readonly string[] },
  signal: AbortSignal,
): Promise<Standing | undefined> {
  for (const tag of key.newerTags(tags)) {
    const found = await deps.upstream.standing(access, tag, signal);
    if (found !== undefined && isNewer(key, found)) return found;
  }
  return undefined;
}

/** What is no manifest of ours has no right to the key. */
function isNewer(key: Key, standing: Standing): boolean {
  const manifest = readStanding(standing);
  return manifest !== undefined && key.isNewer(manifest);
}
