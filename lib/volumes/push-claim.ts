// Pushes a packed claim as a version of its Cache, and records what the registry has confirmed.
import type { Access } from "../core/access.ts";
import { readVersion } from "../core/cache-manifest.ts";
import type { ClaimRecord } from "../core/claim-record.ts";
import { type ClaimCache, formatCache } from "../core/claim-settings.ts";
import type { Digest } from "../core/digest.ts";
import { Failure, isFailure } from "../core/failure.ts";
import { contestKey, planPruning } from "../core/key-contest.ts";
import { parseManifest } from "../core/manifest.ts";
import { type KeyHead, whyKeyless } from "../core/plan-write-back.ts";
import { formatPushProgress, type ProgressSample, rateOf } from "../core/progress.ts";
import { pruneVersions } from "../registry/prune-versions.ts";
import { pushVersion } from "../registry/push-version.ts";
import type { PushDeps, PushOutcome, PushStep, VersionPush, Watch } from "../registry/version-push.ts";
import type { ClaimLayers } from "../trees/claim-layers.ts";
import { accessesFor, withAccess } from "./cache-access.ts";
import type { ClaimDeps } from "./claim-deps.ts";
import { compose, type Fixed, fixedOf } from "./compose-claim.ts";
import type { Told } from "./delete-claim.ts";
import { type FlattenDeps, flattenClaim } from "./flatten-claim.ts";
import { writeKnownHead } from "./known-heads.ts";
import { layersOfCommit } from "./local-heads.ts";
import { type PackDeps, type PackedClaim, packWhole } from "./pack-claim.ts";

export type PushClaimDeps = PackDeps &
  Pick<ClaimDeps, "clock"> & {
    readonly push: PushDeps;
    readonly layers: FlattenDeps["layers"] & Pick<ClaimLayers, "register">;
    /** Waited for after each step, so that a test can stop there as a crash would. */
    readonly onPushStep?: (step: PushStep | "begun" | "registered" | "confirmed") => Promise<void>;
  };

type Begun = {
  readonly record: ClaimRecord;
  readonly push: NonNullable<ClaimRecord["push"]>;
  readonly version: VersionPush;
  readonly bytes: number;
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
  const { cache } = record.settings;
  if (cache === undefined) throw new Error("a claim without a cache is never pushed");
  const asking = { keyring: deps.keyring, settings: record.settings, secrets: told.secrets };
  try {
    return await withAccess(asking, cache, (access) => pushAs(deps, { record, access, packed, told }));
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
  let begun = await begin(deps, pushing);
  let outcome = await send(deps, begun, pushing.told);
  if (outcome.kind === "base-missing") {
    const packed = await packWhole(deps, begun.record, { why: outcome.why, tell: pushing.told.tell });
    begun = await begin(deps, { ...pushing, packed });
    outcome = await send(deps, begun, pushing.told);
  }
  if (outcome.kind === "base-missing") throw new Error("a version without a base cannot lack it");
  return await confirm(deps, begun, outcome);
}

/** Records which version it is before anything of it is sent. */
async function begin(deps: PushClaimDeps, { access, packed, record: { volumeId } }: Pushing): Promise<Begun> {
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
    ...(isKeyless ? {} : { key: contestKey(fixed.cache.key, fixed.version) }),
  };
  return { record: begun, push, version, bytes: packed.bytes };
}

async function isBarred(
  deps: PushClaimDeps,
  { record, access, fixed }: { readonly record: ClaimRecord; readonly access: Access; readonly fixed: Fixed },
): Promise<boolean> {
  const head = await readHead(deps, access, contestKey(fixed.cache.key, fixed.version).tag);
  const why = whyKeyless(record, deps.files.bootId(), head);
  if (why === undefined) return false;
  deps.log.warn("A claim's version will not have its key", { volume: record.volumeId, why });
  return true;
}

async function readHead(deps: PushClaimDeps, access: Access, tag: string): Promise<KeyHead> {
  const standing = await deps.push.upstream.standing(access, tag, deps.signal);
  if (standing === undefined) return undefined;
  try {
    const manifest = parseManifest(standing.bytes, standing);
    return manifest.kind === "index" ? {} : readVersion(manifest);
  } catch (error) {
    // Whatever others put there, it is no version of ours.
    if (isFailure(error)) return {};
    throw error;
  }
}

async function send(deps: PushClaimDeps, { version }: Begun, { tell }: Told): Promise<PushOutcome> {
  const artifact = `${formatCache(version.access)}:${version.tag}`;
  const samples: ProgressSample[] = [];
  tell(formatPushProgress({ artifact, doneBytes: 0 }));
  const watch: Watch = {
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
  return await pushVersion(deps.push, version, watch);
}

type Pushed = Extract<PushOutcome, { readonly kind: "pushed" }>;

/** The Tree first: once the Record says `confirmed`, nothing but removal follows. */
async function confirm(deps: PushClaimDeps, begun: Begun, pushed: Pushed): Promise<ClaimRecord> {
  const { record, version } = begun;
  const { cache, version: own } = fixedOf(record);
  await register(deps, record, version.access, pushed.digest);
  if (pushed.key.state === "moved")
    await writeKnownHead(deps, cache, { digest: pushed.digest, bytes: begun.bytes, version: own });
  await deps.onPushStep?.("registered");
  const confirmed: ClaimRecord = { ...record, push: { ...begun.push, state: "confirmed" } };
  await deps.claims.write(confirmed);
  await deps.onPushStep?.("confirmed");
  noteKey(deps, begun, pushed);
  await prune(deps, record, version.access);
  return confirmed;
}

async function register(deps: PushClaimDeps, record: ClaimRecord, access: Access, digest: Digest) {
  const chain = layersOfCommit(record);
  const layers = chain.length > deps.chainMax ? [await flattenClaim(deps, record, chain)] : chain;
  const platform = record.settings.platform ?? deps.platform;
  await deps.layers.register(access, { digest, platform, layers });
}

function noteKey(
  { log }: PushClaimDeps,
  { record, version }: Begun,
  { key, sentBytes, digest }: Pushed,
): void {
  const fields = { volume: record.volumeId, version: version.tag, digest, sentBytes };
  if (key.state === "superseded") {
    log.warn("A claim was written back; a newer version has its key", { ...fields, newer: key.by });
  } else if (key.state === "moved" && key.previous !== undefined) {
    log.info("A claim was written back in the place of another version", {
      ...fields,
      previous: key.previous,
    });
  } else log.info("A claim was written back", { ...fields, key: key.state });
}

async function prune(deps: PushClaimDeps, record: ClaimRecord, access: Access): Promise<void> {
  const { cache } = fixedOf(record);
  const plan = (tags: readonly string[]) => planPruning(tags, cache.key, record.settings.versions);
  const { deleted, refusal } = await pruneVersions(deps.push, { access, plan }, deps.signal);
  if (deleted.length > 0) deps.log.info("Deleted old versions of a cache", { deleted });
  if (refusal !== undefined) deps.log.warn("Cannot delete old versions of a cache", { error: refusal });
}

function noSecret({ volumeId }: ClaimRecord, cache: ClaimCache): Failure {
  return new Failure(
    "denied",
    `Cannot write the volume "${volumeId}" back to ${formatCache(cache)}: the registry lets nobody write without credentials, and no secret was given; name one in the class with csi.storage.k8s.io/provisioner-secret-name and -namespace`,
  );
}
