// Heads of Caches that were committed on this node and are not pushed yet.
import { compareVersions, type Version } from "../core/cache-key.ts";
import type { ClaimRecord } from "../core/claim-record.ts";
import type { ClaimCache } from "../core/claim-settings.ts";
import type { Digest } from "../core/digest.ts";
import { whyKeyless } from "../core/plan-write-back.ts";

export type LocalHead = {
  readonly version: Version;
  readonly layers: readonly Digest[];
  /** What the layers beneath its own show, where that was told. */
  readonly baseBytes?: number;
};

/** What a committed claim shows, as Layers of this node; the lowest first. Under `copy` its Layer is the whole. */
export function layersOfCommit({ settings, base, commit }: ClaimRecord): readonly Digest[] {
  if (commit === undefined) return [];
  return settings.layout === "copy" ? [commit.layer] : [...(base?.layers ?? []), commit.layer];
}

function baseBytesOf({ settings, base }: ClaimRecord): Pick<LocalHead, "baseBytes"> {
  if (settings.layout === "copy") return { baseBytes: 0 };
  return base?.bytes === undefined ? {} : { baseBytes: base.bytes };
}

/** Whose commit, not confirmed yet, is the topmost Layer that this claim was built on; the rest is under that one. */
export function pendingBelow(records: Iterable<ClaimRecord>, { base }: ClaimRecord): ClaimRecord | undefined {
  const top = base?.layers.at(-1);
  if (top === undefined) return undefined;
  for (const record of records) if (record.commit?.layer === top && isPending(record)) return record;
  return undefined;
}

const isPending = ({ push, letGo }: ClaimRecord) => letGo === undefined && push?.state !== "confirmed";

/** The newest commit for the same key of the same Cache that may be its head, that nobody is removing, and that `may` allows. */
export function newestLocal(
  records: Iterable<ClaimRecord>,
  { host, repository, key }: ClaimCache,
  boot: string,
  may: (record: ClaimRecord) => boolean,
): LocalHead | undefined {
  let newest: LocalHead | undefined;
  for (const record of records) {
    const { cache } = record.settings;
    if (cache?.key !== key || cache.repository !== repository || cache.host !== host) continue;
    const { commit, id } = record;
    if (commit === undefined || !isPending(record) || !may(record)) continue;
    // Trouble never becomes content, by this way neither.
    if (whyKeyless(record, boot, undefined) !== undefined) continue;
    const version = { timeMs: commit.timeMs, id };
    if (newest !== undefined && compareVersions(newest.version, version) > 0) continue;
    newest = { version, layers: layersOfCommit(record), ...baseBytesOf(record) };
  }
  return newest;
}
