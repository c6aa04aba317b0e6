// Which versions of a key stand before others: for its moving tag, for restore keys, and when old ones go.
import {
  compareVersions,
  keyTag,
  parseVersionTag,
  type TaggedVersion,
  type Version,
  versionsByPrefix,
  versionsOfKey,
} from "./cache-key.ts";
import { readVersion } from "./cache-manifest.ts";
import type { Manifest } from "./manifest.ts";

/** The key as a version contends for it. */
export function contestKey(key: string, own: Version) {
  return {
    tag: keyTag(key),
    /** Those of newer versions, the newest first. */
    newerTags: (tags: readonly string[]): readonly string[] =>
      versionsOfKey(tags, key)
        .filter((other) => compareVersions(other, own) > 0)
        .map(({ tag }) => tag),
    /** Whether that is a newer version of this key, and one that may have it. */
    isNewer: (manifest: Manifest): boolean => {
      const other = readVersion(manifest);
      if (other.key !== key || other.isKeyless || other.version === undefined) return false;
      return compareVersions(other.version, own) > 0;
    },
  };
}

/** Whether a manifest is that version of that key, however it was packed. */
export function isSameVersion(manifest: Manifest, key: string, own: Version): boolean {
  const said = readVersion(manifest);
  return said.key === key && said.version !== undefined && compareVersions(said.version, own) === 0;
}

/** The tags that restore keys may mean: those of the first key before those of the next, the newest first. */
export function restoreCandidates(
  tags: readonly string[],
  restoreKeys: readonly string[],
): ReadonlyArray<TaggedVersion & { readonly prefix: string }> {
  return restoreKeys.flatMap((prefix) =>
    versionsByPrefix(tags, prefix).map((version) => ({ ...version, prefix })),
  );
}

/** Whether a candidate's manifest bears its tag out. Trouble becomes no content by way of a restore key either. */
export function isRestorable(prefix: string, manifest: Manifest): boolean {
  const { key, version, isKeyless } = readVersion(manifest);
  return version !== undefined && !isKeyless && key?.startsWith(prefix) === true;
}

/**
 * Which tags of a key's versions go when the newest `versions` are kept, and those `spared`, however old: writers were
 * just told that they stand. What the key's own tag names stays, and what people tagged by hand: a tag that is neither
 * a version's nor that of a key which has any.
 */
export function planPruning(
  tags: readonly string[],
  key: string,
  { versions, spared }: { readonly versions: number; readonly spared: readonly string[] },
): { readonly doomed: readonly string[]; readonly kept: readonly string[] } {
  const all = versionsOfKey(tags, key).map(({ tag }) => tag);
  const doomed = all.slice(versions).filter((tag) => !spared.includes(tag));
  const head = tags.includes(keyTag(key)) ? [keyTag(key)] : [];
  const keys = new Set([keyTag(key), ...tags.map((tag) => parseVersionTag(tag)?.keyTag)]);
  const byHand = tags.filter((tag) => parseVersionTag(tag) === undefined && !keys.has(tag));
  return { doomed, kept: [...head, ...all.filter((tag) => !doomed.includes(tag)), ...byHand] };
}
