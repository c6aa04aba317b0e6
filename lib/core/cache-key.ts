// Keys of a Cache as tags of its repository, and the tags of their versions: `KEY.TIME.ID`.
import { createHash } from "node:crypto";
import { Failure } from "./failure.ts";

/** Which of a key's versions: when it was committed, and what tells it from others of that moment. */
export type Version = { readonly timeMs: number; readonly id: string };

export type TaggedVersion = Version & { readonly tag: string; readonly keyTag: string };

const LONGEST_BARE = 90;
const STEM = 80;
const HASH = 16;

/** A version's time has thirteen digits, so that `v1.2.3` is no version: from 2001 to 2286. */
export const EARLIEST_MS = 1e12;
export const LATEST_MS = 1e13 - 1;

const KEY_TAG = `(?!-)(?:[A-Za-z0-9-]|_[0-9a-f]{2})+(?:__[0-9a-f]{${HASH}})?`;
const VERSION_TAG = new RegExp(`^(?<key>${KEY_TAG})\\.(?<time>[1-9][0-9]{12})\\.(?<id>[a-z0-9]{1,12})$`);

/** The key, or the beginning of keys, that `text` is. Throws `invalid`. */
export function parseKey(text: string): string {
  if (text.length <= 512 && text.isWellFormed() && /^(?! )[^\p{Cc},]+(?<! )$/u.test(text)) return text;
  throw new Failure(
    "invalid",
    `Cannot use the key "${text.slice(0, 80)}": write 1 to 512 characters without commas, control characters or blanks at the ends`,
  );
}

/**
 * The moving tag of a key. What no tag may hold is escaped byte by byte, `.` and `_` too: keys that begin alike have
 * tags that do. A long one ends in a hash behind `__`, which no escape makes.
 */
export function keyTag(key: string): string {
  const text = escapeKey(key);
  if (text.length <= LONGEST_BARE) return text;
  const stem = text.slice(0, STEM).replace(/_[0-9a-f]?$/, "");
  return `${stem}__${createHash("sha256").update(key).digest("hex").slice(0, HASH)}`;
}

/** The key of a moving tag; undefined for one that is cut, or no key's. */
export function keyOfTag(tag: string): string | undefined {
  if (!new RegExp(`^${KEY_TAG}$`).test(tag) || tag.includes("__")) return undefined;
  const hex = tag.replaceAll(/_([0-9a-f]{2})|([^_])/g, (_, escaped: string | undefined, char: string) =>
    escaped === undefined ? char.charCodeAt(0).toString(16) : escaped,
  );
  const key = Buffer.from(hex, "hex").toString("utf8");
  return keyTag(key) === tag ? key : undefined;
}

/** The tag of one version: at most 128 characters. Its time and id are those of commitVersion(). */
export function versionTag(key: string, { timeMs, id }: Version): string {
  return `${keyTag(key)}.${timeMs}.${id}`;
}

/** What a tag says of the version it names; undefined where it is no version's. */
export function parseVersionTag(tag: string): TaggedVersion | undefined {
  const { key = "", time, id = "" } = VERSION_TAG.exec(tag)?.groups ?? {};
  return time === undefined ? undefined : { tag, keyTag: key, timeMs: Number(time), id };
}

/** Above 0 where `one` is newer than `other`: by time, then by id, so that all nodes agree. */
export function compareVersions(one: Version, other: Version): number {
  return one.timeMs - other.timeMs || (one.id < other.id ? -1 : one.id > other.id ? 1 : 0);
}

/**
 * The versions whose key begins with `prefix`, the newest first. Where the tag of a long key does not tell, `isSure`
 * is false: its manifest does.
 */
export function versionsByPrefix(
  tags: Iterable<string>,
  prefix: string,
): ReadonlyArray<TaggedVersion & { readonly isSure: boolean }> {
  const wanted = escapeKey(prefix);
  return newestFirst(tags).flatMap((version) => {
    const [stem = "", hash] = version.keyTag.split("__");
    const isSure = stem.startsWith(wanted);
    return isSure || (hash !== undefined && wanted.startsWith(stem)) ? [{ ...version, isSure }] : [];
  });
}

/** The versions of that very key, the newest first. */
export function versionsOfKey(tags: Iterable<string>, key: string): readonly TaggedVersion[] {
  const wanted = keyTag(key);
  return newestFirst(tags).filter((version) => version.keyTag === wanted);
}

function newestFirst(tags: Iterable<string>): readonly TaggedVersion[] {
  return [...tags]
    .flatMap((tag) => parseVersionTag(tag) ?? [])
    .toSorted((one, other) => compareVersions(other, one));
}

/** A tag must not begin with `-`; and the first byte is the first of a prefix too. */
function escapeKey(key: string): string {
  return Array.from(Buffer.from(key, "utf8"), (byte, at) => {
    const char = String.fromCharCode(byte);
    const isPlain = at === 0 ? /[A-Za-z0-9]/ : /[A-Za-z0-9-]/;
    return isPlain.test(char) ? char : `_${byte.toString(16).padStart(2, "0")}`;
  }).join("");
}
