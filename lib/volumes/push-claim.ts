// Pushes a packed claim as a version of its Cache, and records what the registry has confirmed.
import type { Access } from "../core/access.ts";
import { readVersion } from "../core/cache-manifest.ts";
import type { ClaimRecord } from "../core/claim-record.ts";
import { type ClaimCache, formatCache } from "../core/claim-settings.ts";
import { Failure, isFailure } from "../core/failure.ts";
import { contestKey, isSameVersion } from "../core/key-contest.ts";
import { isToSeeHead, type KeyHead, whyKeyless } from "../core/plan-write-back.ts";
import { formatPushProgress, type ProgressSample, rateOf } from "../core/progress.ts";
import { finishVersion } from "../registry/finish-version.ts";
import { pushVersion } from "../registry/push-version.ts";
import { readStanding } from "../registry/put-manifest.ts";
import type { PushStep, VersionPush, Watch } from "../registry/version-push.ts";
import { accessesFor, withAccess } from "./cache-access.ts";
import { compose, type Fixed, fixedOf } from "./compose-claim.ts";
import { type Begun, type ConfirmDeps, confirmPush } from "./confirm-push.ts";
import type { Told } from "./delete-claim.ts";
import type { LetIn } from "./let-in.ts";
import { finishTrimOf, type PackedClaim, packWhole } from "./pack-claim.ts";

export type PushClaimDeps = Omit<ConfirmDeps, "onPushStep"> & {
  readonly letIn: Pick<LetIn, "wasToldNone">;
  /** Waited for after each step, so that a test can stop there as a crash would. */
  readonly onPushStep?: (step: PushStep | "begun" | "registered" | "confirmed") => Promise<void>;
};

/**
 * The registry has confirmed the version when it resolves, and the Record says so. What it is to be is recorded before
 * anything is sent: stopped anywhere and called again, it makes the same version. Failures: those of pushVersion(), and
 * `denied` where a secret is missing.
 */
export async function pushClaim(
  deps: PushClaimDeps,
  record: ClaimRecord,
  packed: PackedClaim,
  told: Told,
): Promise<ClaimRecord> {
  return await withCache(deps, record, told, (access) => pushAs(deps, { record, access, packed, told }));
}

/**
 * The Record of a version that an earlier call tagged and that the registry has whole, confirmed now; undefined for any
 * other. So that what was tagged is what counts, whatever packing again would give. Failures as pushClaim().
 */
export async function resumePush(
  deps: PushClaimDeps,
  record: ClaimRecord,
  told: Told,
): Promise<ClaimRecord | undefined> {
  const { push } = record;
  if (push === undefined) return undefined;
  const { cache, version, tag } = fixedOf(record);
  return await withCache(deps, record, told, async (access) => {
    const key = push.isKeyless ? {} : { key: contestKey(cache.key, version) };
    const tagged = { access, digest: push.manifest, tag, ...key };
    const outcome = await finishVersion(deps.push, tagged, watchOf(deps, tagged, told));
    if (outcome === undefined) return undefined;
    const { bytes } = readVersion(outcome.manifest);
    const blobs = new Set(outcome.manifest.layers.map(({ digest }) => digest));
    return await confirmPush(deps, { record, push, access, bytes, blobs }, outcome);
  });
}

async function withCache<T>(
  deps: PushClaimDeps,
  record: ClaimRecord,
  told: Told,
  work: (access: Access) => Promise<T>,
): Promise<T> {
  const { cache } = record.settings;
  if (cache === undefined) throw new Error("a claim without a cache is never pushed");
  const { keyring, signal } = deps;
  const asking = { keyring, settings: record.settings, secrets: told.secrets, signal };
  try {
    return await withAccess(asking, cache, work);
  } catch (error) {
    if (!isFailure(error, "denied")) throw error;
    const accesses = await accessesFor(asking, cache);
    throw accesses.every(({ credentials }) => credentials === undefined) ? noSecret(record, cache) : error;
  }
}

type Pushing = {
  readonly record: ClaimRecord;
  readonly access: Access;
  readonly packed: PackedClaim;
  readonly told: Told;
};

async function pushAs(deps: PushClaimDeps, pushing: Pushing): Promise<ClaimRecord> {
  const { access, told } = pushing;
  // What is tagged is what is here: until then the Layer is trimmed beside the push.
  const beforeTag = async () => await finishTrimOf(deps, pushing.record);
  const send = async (version: VersionPush) =>
    await pushVersion(deps.push, version, { ...watchOf(deps, version, told), beforeTag });
  let begun = await begin(deps, pushing);
  let outcome = await send(begun.version);
  if (outcome.kind === "base-missing") {
    const packed = await packWhole(deps, begun.record, { why: outcome.why, tell: told.tell });
    begun = await begin(deps, { ...pushing, packed });
    outcome = await send(begun.version);
  }
  if (outcome.kind === "base-missing") throw new Error("a version without a base cannot lack it");
  return await confirmPush(deps, { ...begun, access }, outcome);
}

/** Records which version it is before anything of it is sent. */
async function begin(
  deps: PushClaimDeps,
  { access, packed, record: { volumeId } }: Pushing,
): Promise<Omit<Begun, "access"> & { readonly version: VersionPush }> {
  // The Record as it is by now: another access may have begun.
  const record = deps.claims.require(volumeId);
  const fixed = fixedOf(record);
  const isKeyless = record.push?.isKeyless ?? (await isBarred(deps, { record, access, fixed }));
  const { config, manifest } = compose(deps, { record, packed, fixed, isKeyless });
  const push = { manifest: manifest.digest, versionTag: fixed.tag, isKeyless, state: "begun" } as const;
  const begun = record.push?.manifest === push.manifest ? record : { ...record, push };
  if (begun !== record) await deps.claims.write(begun);
  await deps.onPushStep?.("begun");
  const { source, layers } = packed.base;
  const version: VersionPush = {
    access,
    base: { layers, ...(source === undefined ? {} : { source }) },
    layers: packed.parts.map(({ digest, size, path }) => ({ digest, size, content: path })),
    config,
    manifest,
    tag: fixed.tag,
    isSame: (other) => isSameVersion(other, fixed.cache.key, fixed.version),
    ...(isKeyless ? {} : { key: contestKey(fixed.cache.key, fixed.version) }),
  };
  const blobs = new Set([...layers, ...version.layers].map(({ digest }) => digest));
  return { record: begun, push, version, bytes: packed.bytes, blobs };
}

async function isBarred(
  deps: PushClaimDeps,
  { record, access, fixed }: { readonly record: ClaimRecord; readonly access: Access; readonly fixed: Fixed },
): Promise<boolean> {
  const boot = deps.files.bootId();
  const isTrouble = whyKeyless(record, boot, undefined) !== undefined;
  if (!isTrouble && !isToSeeHead(record)) return false;
  const { tag } = contestKey(fixed.cache.key, fixed.version);
  const head = await readHead(deps, access, tag).catch((error: unknown) => {
    // Some registries deny a repository that the first push makes.
    if (!isTrouble && isFailure(error, "denied")) return undefined;
    throw error;
  });
  const isNews = deps.letIn.wasToldNone(record.volumeId, access);
  const why = whyKeyless(record, boot, head === undefined ? undefined : { ...head, isNews });
  if (why === undefined) return false;
  deps.log.warn("A claim's version will not have its key", { volume: record.volumeId, why });
  return true;
}

/** Whatever others put there is no version of ours. */
async function readHead(deps: PushClaimDeps, access: Access, tag: string): Promise<KeyHead> {
  const standing = await deps.push.upstream.standing(access, tag, deps.signal);
  if (standing === undefined) return undefined;
  const manifest = readStanding(standing);
  return manifest === undefined ? {} : readVersion(manifest);
}

/** Tells how far it is. */
function watchOf(
  deps: PushClaimDeps,
  { access, tag }: Pick<VersionPush, "access" | "tag">,
  { tell }: Told,
): Watch {
  const artifact = `${formatCache(access)}:${tag}`;
  const samples: ProgressSample[] = [];
  tell(formatPushProgress({ artifact, doneBytes: 0 }));
  return {
    signal: deps.signal,
    ...(deps.onPushStep === undefined ? {} : { onStep: deps.onPushStep }),
    onProgress: (progress) => {
      const atMs = deps.clock.now();
      samples.push({ atMs, bytes: progress.doneBytes });
      if (samples.length > 1000) samples.shift();
      const rate = rateOf(samples, atMs);
      tell(
        formatPushProgress({
          artifact,
          ...progress,
          ...(rate === undefined ? {} : { bytesPerSecond: rate }),
        }),
      );
    },
  };
}

function noSecret({ volumeId }: ClaimRecord, cache: ClaimCache): Failure {
  return new Failure(
    "denied",
    `Cannot write the volume "${volumeId}" back to ${formatCache(cache)}: the registry lets nobody write without credentials, and no secret was given; name one in the class with csi.storage.k8s.io/provisioner-secret-name and -namespace`,
  );
}
