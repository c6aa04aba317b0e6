// Deletes versions of a Cache that are not kept any more, where the registry allows it.
import type { Access } from "../core/access.ts";
import type { Digest } from "../core/digest.ts";
import { type Failure, isFailure } from "../core/failure.ts";
import { insist } from "./insist.ts";
import type { PushDeps } from "./version-push.ts";

export type Pruning = {
  readonly access: Access;
  /** The repository's, where they were listed since the last push; asked for otherwise. */
  readonly tags?: readonly string[] | undefined;
  /** Of the repository's tags, those that are to go, and those that stay and may name the same. */
  readonly plan: (tags: readonly string[]) => {
    readonly doomed: readonly string[];
    readonly kept: readonly string[];
  };
};

/** `refusal`: why some are still there. */
export type Pruned = { readonly deleted: readonly string[]; readonly refusal?: Failure };

/**
 * A registry deletes a manifest with all its tags, so one that stays under another tag is left alone. What the registry
 * refuses is no failure: the next push finds it again. May be repeated.
 */
export async function pruneVersions(
  deps: PushDeps,
  { access, tags, plan }: Pruning,
  signal: AbortSignal,
): Promise<Pruned> {
  const deleted: string[] = [];
  const digestOf = async (tag: string) => (await deps.upstream.standing(access, tag, signal))?.digest;
  try {
    const list = async () => await deps.oras.listTags(access, { signal });
    const { doomed, kept } = plan(tags ?? (await insist(deps, access.host, list, signal)));
    const staying = new Set(doomed.length === 0 ? [] : await Promise.all(kept.map(digestOf)));
    for (const tag of doomed) {
      const digest = await digestOf(tag);
      if (digest === undefined || staying.has(digest)) continue;
      await remove(deps, { access, digest }, signal);
      deleted.push(tag);
    }
    return { deleted };
  } catch (error) {
    if (isFailure(error)) return { deleted, refusal: error };
    throw error;
  }
}

async function remove(
  deps: PushDeps,
  { access, digest }: { readonly access: Access; readonly digest: Digest },
  signal: AbortSignal,
): Promise<void> {
  const command = async () => await deps.oras.deleteManifest(access, digest, { signal });
  await insist(deps, access.host, command, signal);
}
