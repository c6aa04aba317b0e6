// What follows when the registry has confirmed a version: the Tree over the Layers that are here, the Record, the words.
import type { Access } from "../core/access.ts";
import { compareVersions, type Version, versionTag } from "../core/cache-key.ts";
import type { ClaimRecord } from "../core/claim-record.ts";
import { formatCache } from "../core/claim-settings.ts";
import type { Digest } from "../core/digest.ts";
import { isFailure } from "../core/failure.ts";
import { planPruning } from "../core/key-contest.ts";
import type { Metrics } from "../host/metrics.ts";
import { pruneVersions } from "../registry/prune-versions.ts";
import type { PushDeps, VersionPushed } from "../registry/version-push.ts";
import type { ClaimLayers } from "../trees/claim-layers.ts";
import { fixedOf } from "./compose-claim.ts";
import { type FlattenDeps, flattenClaim } from "./flatten-claim.ts";
import { type HeadTurns, type KnownHead, writeKnownHead } from "./known-heads.ts";
import { layersOfCommit } from "./local-heads.ts";
import type { PackDeps } from "./pack-claim.ts";

export type ConfirmDeps = PackDeps &
  HeadTurns & {
    readonly metrics: Pick<Metrics, "countWriteBack" | "countContest">;
    readonly push: PushDeps;
    readonly layers: PackDeps["layers"] & FlattenDeps["layers"] & Pick<ClaimLayers, "register">;
    readonly onPushStep?: (step: "registered" | "confirmed") => Promise<void>;
  };

export type Begun = {
  readonly record: ClaimRecord;
  readonly push: NonNullable<ClaimRecord["push"]>;
  readonly access: Access;
  /** Unpacked, of all of it. */
  readonly bytes: number;
  /** Of its layers: the registry has them. */
  readonly blobs: ReadonlySet<Digest>;
};

/** The Tree first: once the Record says `confirmed`, nothing but removal follows. */
export async function confirmPush(
  deps: ConfirmDeps,
  begun: Begun,
  pushed: VersionPushed,
): Promise<ClaimRecord> {
  const { record, bytes } = begun;
  const { cache, version } = fixedOf(record);
  await register(deps, begun, pushed);
  if (pushed.key.state === "moved") {
    const { previous } = pushed.key;
    // Another's confirmation may have come between the registry's answer and here.
    const isOlder = (known: KnownHead | undefined) =>
      known?.version === undefined ||
      known.digest === previous ||
      compareVersions(known.version, version) < 0;
    await writeKnownHead(deps, cache, { digest: pushed.digest, bytes, version }, isOlder);
  }
  await deps.onPushStep?.("registered");
  const contest = contestOf(record, pushed.key);
  const words = contest === undefined ? {} : { contest: wordsOf(record, contest) };
  const confirmed: ClaimRecord = { ...record, push: { ...begun.push, state: "confirmed", ...words } };
  await deps.claims.write(confirmed);
  await deps.onPushStep?.("confirmed");
  noteKey(deps, begun, pushed);
  if (contest !== undefined) deps.metrics.countContest(contest.end);
  await prune(deps, begun, { ...pushed, contest });
  return confirmed;
}

/** The registry has it all: what is amiss here costs the next claim a pull, and this one nothing. */
async function register(
  deps: ConfirmDeps,
  { record, access, blobs }: Begun,
  { digest }: VersionPushed,
): Promise<void> {
  const chain = layersOfCommit(record);
  const platform = record.settings.platform ?? deps.platform;
  try {
    const layers = chain.length > deps.chainMax ? [await flattenClaim(deps, record, chain)] : chain;
    await deps.layers.register(access, { digest, platform, layers, blobs });
  } catch (error) {
    if (!isFailure(error)) throw error;
    deps.log.warn("What was written back will be pulled for the next claim", {
      volume: record.volumeId,
      error,
    });
  }
}

type Contest = { readonly end: "lost" | "won"; readonly other: Digest; readonly version?: Version };

/** Whether another writer moved the key since the claim began; what it began from is no other's. */
function contestOf({ base }: ClaimRecord, key: VersionPushed["key"]): Contest | undefined {
  if (key.state === "superseded") return { end: "lost", other: key.by };
  if (key.state === "left" || key.previous === undefined) return undefined;
  const { previous, previousVersion: version } = key;
  const isBase =
    previous === base?.tree?.digest ||
    (version !== undefined && base?.version !== undefined && compareVersions(version, base.version) === 0);
  if (isBase) return undefined;
  return { end: "won", other: previous, ...(version === undefined ? {} : { version }) };
}

function wordsOf(record: ClaimRecord, { end, other }: Contest): string {
  const { cache, tag } = fixedOf(record);
  const name = `${formatCache(cache)}:${tag}`;
  return end === "lost"
    ? `Written back as ${name}; its key "${cache.key}" stays with ${other} of another writer, which is newer`
    : `Written back as ${name}; it has taken the key "${cache.key}" from ${other} of another writer, which is older`;
}

function noteKey(deps: ConfirmDeps, { record }: Begun, { key, sentBytes, digest }: VersionPushed): void {
  const { log, metrics } = deps;
  metrics.countWriteBack({ key: key.state, sentBytes });
  const fields = { volume: record.volumeId, version: fixedOf(record).tag, digest, sentBytes };
  if (key.state === "superseded") {
    log.warn("A claim was written back; a newer version has its key", { ...fields, newer: key.by });
  } else if (key.state === "moved" && key.previous !== undefined) {
    log.info("A claim was written back in the place of another version", {
      ...fields,
      previous: key.previous,
    });
  } else log.info("A claim was written back", { ...fields, key: key.state });
}

/** Not what this very push is told to have left: its own version, late as it may be, and the one it took the key from. */
async function prune(
  deps: ConfirmDeps,
  { record, access }: Begun,
  { tags, contest }: Pick<VersionPushed, "tags"> & { readonly contest: Contest | undefined },
): Promise<void> {
  const { cache, tag } = fixedOf(record);
  const overtaken = contest?.version === undefined ? [] : [versionTag(cache.key, contest.version)];
  const keeping = { versions: record.settings.versions, spared: [tag, ...overtaken] };
  const plan = (found: readonly string[]) => planPruning(found, cache.key, keeping);
  const { deleted, refusal } = await pruneVersions(deps.push, { access, tags, plan }, deps.signal);
  if (deleted.length > 0) deps.log.info("Deleted old versions of a cache", { deleted });
  if (refusal !== undefined) deps.log.warn("Cannot delete old versions of a cache", { error: refusal });
}
