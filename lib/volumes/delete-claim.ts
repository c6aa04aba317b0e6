// The journey of DeleteVolume: what changed goes back to the registry, or is let go for a reason that is recorded.
import type { ClaimRecord } from "../core/claim-record.ts";
import { deleteClaim as deleted, letGoOfClaim } from "../core/claim-steps.ts";
import { type Failure, isFailure } from "../core/failure.ts";
import {
  planWriteBack,
  stillMounted,
  type WriteBackSeen,
  type WriteBackStep,
} from "../core/plan-write-back.ts";
import type { Metrics } from "../host/metrics.ts";
import { clearDisk } from "./claim-disk.ts";
import { type CommitDeps, commitClaim } from "./commit-claim.ts";
import { pendingBelow } from "./local-heads.ts";
import { waitFor } from "./patience.ts";
import type { Call, DeleteClaimRequest } from "./requests.ts";
import { returnBase } from "./return-base.ts";
import type { StageDeps } from "./stage-claim.ts";

type Secrets = ReadonlyMap<string, string>;

/** What a write-back is given by the call that began it, and how it tells how far it is. */
export type Told = { readonly secrets: Secrets; readonly tell: (words: string) => void };

/** What was packed of a claim; nothing where nothing changed. */
export type Packed = { readonly isChanged: boolean };

export type DeleteDeps<Pack extends Packed = Packed> = StageDeps &
  Pick<CommitDeps, "layers"> & {
    /** Packs the committed Layer against its base; repeating gives the same bytes. Where something changed it waits for `below`, and may build on what that brought to the registry. */
    readonly pack: (record: ClaimRecord, told: Told, below: () => Promise<void>) => Promise<Pack>;
    /** The registry has confirmed all of it when it resolves, and the Record says so. */
    readonly push: (record: ClaimRecord, packed: Pack, told: Told) => Promise<ClaimRecord>;
    /** The Record as `push` leaves it, where an earlier call tagged it all and it stands; else undefined. */
    readonly resume: (record: ClaimRecord, told: Told) => Promise<ClaimRecord | undefined>;
    readonly flights: Map<string, Flight>;
    /** Aborted when the plugin stops: what a stop cuts short has not failed, and nothing is let go for it. */
    readonly signal: AbortSignal;
    readonly metrics: Pick<Metrics, "countClaim">;
  };

/** One write-back under way: whoever calls meanwhile joins it. */
export type Flight = { readonly outcome: Promise<Note>; words: string };

/** What is to be said of how it went, in a sentence, where that is not the plain end. */
type Note = string | undefined;

/**
 * Nothing of the claim is left when it resolves: its changes are in the registry, or were let go for a reason.
 * While it is mounted its unstage is waited for, and `in-use` said before the deadline; `pending` with the progress of
 * the write-back; else what that failed with, and the next call tries again. An unknown volume is fine. It resolves to
 * what another writer of its key has to do with it.
 */
export async function deleteClaim<Pack extends Packed>(
  deps: DeleteDeps<Pack>,
  { volumeId, secrets }: DeleteClaimRequest,
  call: Call,
): Promise<Note> {
  // Unknown is not the same as gone.
  deps.claims.refuseUnreadable(volumeId);
  const words = () => deps.flights.get(volumeId)?.words ?? wordsOf(volumeId);
  return await waitFor(deps.clock, call, words, async (signal) => {
    if (!deps.flights.has(volumeId)) await untilUnmounted(deps, volumeId, { ...call, signal });
    // Others who waited too may be done by now.
    if (deps.claims.find(volumeId) === undefined) return undefined;
    return await (deps.flights.get(volumeId) ?? begin(deps, volumeId, secrets, { isOwn: true })).outcome;
  });
}

/** Not in its turn, which the unstage needs. Without a deadline nothing is waited for. */
async function untilUnmounted(deps: StageDeps, volumeId: string, { signal, deadline }: Call): Promise<void> {
  const left = Promise.withResolvers<void>();
  const leave = () => left.resolve();
  signal.addEventListener("abort", leave, { once: true });
  try {
    for (;;) {
      const record = deps.claims.find(volumeId);
      if (record === undefined) return;
      // Before the look: a turn that ends meanwhile counts.
      const ended = deps.turns.ended(volumeId);
      if (!(await isInUse(deps, record))) return;
      if (signal.aborted || deadline === Number.POSITIVE_INFINITY) throw stillMounted(record);
      await Promise.race([ended, left.promise]);
    }
  } finally {
    signal.removeEventListener("abort", leave);
  }
}

const wordsOf = (volumeId: string) => `Deleting the volume "${volumeId}"`;

/** Whether a call for the claim itself began it, with the secrets that are meant for it. */
type Whose = { readonly isOwn: boolean };

function begin<Pack extends Packed>(
  deps: DeleteDeps<Pack>,
  volumeId: string,
  secrets: Secrets,
  { isOwn }: Whose,
): Flight {
  const turn = deps.turns.take(volumeId);
  const flight: { outcome: Promise<Note>; words: string } = {
    outcome: Promise.resolve(undefined),
    words: wordsOf(volumeId),
  };
  const tell = (words: string) => {
    flight.words = words;
  };
  flight.outcome = run(deps, volumeId, { secrets, tell, isOwn }).finally(() => {
    turn[Symbol.dispose]();
    deps.flights.delete(volumeId);
  });
  // Who began it may have gone.
  flight.outcome.catch(() => undefined);
  deps.flights.set(volumeId, flight);
  return flight;
}

/** How far a write-back has come in this flight. */
type Progress<Pack> = Pick<WriteBackSeen, "record" | "isChanged" | "isLookedFor"> & {
  readonly packed?: Pack;
};

async function run<Pack extends Packed>(
  deps: DeleteDeps<Pack>,
  volumeId: string,
  told: Told & Whose,
): Promise<Note> {
  const { claims, clock, files } = deps;
  let progress: Progress<Pack> = { record: deleted(claims.require(volumeId), clock.now()) };
  // A disk without a free block takes no Record: what lets go needs none, and the rest waits for room.
  let failure = await failureIfFull(claims.write(progress.record));
  for (;;) {
    const { record } = progress;
    const step = planWriteBack({
      ...progress,
      boot: files.bootId(),
      nowMs: clock.now(),
      isMounted: await isInUse(deps, record),
      ...(failure === undefined ? {} : { failure }),
    });
    if (step.kind === "fail") throw step.failure;
    if (step.kind === "remove") {
      await remove(deps, record);
      return record.push?.contest;
    }
    if (step.kind === "let-go") {
      // Its own secrets may do where another's are refused: nothing is lost before they were tried.
      if (step.isLoss && !told.isOwn && failure !== undefined) throw failure;
      const gone = letGo(deps, record, step);
      // Cut short without it, the next call plans the same from the Record that stands.
      await failureIfFull(claims.write(gone));
      await remove(deps, gone);
      return undefined;
    }
    try {
      progress = await advance(deps, progress, { step, told });
    } catch (error) {
      if (!isFailure(error) || deps.signal.aborted) throw error;
      failure = error;
    }
  }
}

async function failureIfFull(write: Promise<void>): Promise<Failure | undefined> {
  try {
    await write;
    return undefined;
  } catch (error) {
    if (isFailure(error, "full")) return error;
    throw error;
  }
}

type Advance = {
  readonly step: Extract<WriteBackStep, { readonly kind: "commit" | "resume" | "pack" | "push" }>;
  readonly told: Told;
};

async function advance<Pack extends Packed>(
  deps: DeleteDeps<Pack>,
  progress: Progress<Pack>,
  { step, told }: Advance,
): Promise<Progress<Pack>> {
  const { record, packed } = progress;
  if (step.kind === "resume") {
    return { ...progress, record: (await deps.resume(record, told)) ?? record, isLookedFor: true };
  }
  if (step.kind === "push" && packed !== undefined) {
    return { ...progress, record: await deps.push(record, packed, told) };
  }
  // What is given back to the base's groups, or held against it, needs the base.
  if (step.kind === "pack" || record.group !== undefined) await returnBase(deps, record, told);
  // Before packing too: an earlier call may have recorded the commit and died before the Layer was in place.
  const committed = await commitClaim(deps, record);
  if (committed === undefined) return { ...progress, isChanged: false };
  if (step.kind === "commit") return { ...progress, record: committed };
  const made = await deps.pack(committed, told, async () => await pushBelow(deps, committed, told));
  return { ...progress, record: committed, packed: made, isChanged: made.isChanged };
}

/**
 * A claim of this node that this one was built on goes first, whoever asked for it: a version can only name as its base
 * what the registry has, and would have to hold all of it otherwise. However that ends, this one goes on. Not before it is
 * known that there is a version of this one: how the other ends is its own business otherwise.
 */
async function pushBelow<Pack extends Packed>(
  deps: DeleteDeps<Pack>,
  record: ClaimRecord,
  told: Told,
): Promise<void> {
  const below = pendingBelow(deps.claims.all.values(), record);
  if (below === undefined) return;
  told.tell(`Waiting for the volume "${below.volumeId}", which this one was built on, to be written back`);
  try {
    await (deps.flights.get(below.volumeId) ?? begin(deps, below.volumeId, told.secrets, { isOwn: false }))
      .outcome;
  } catch (error) {
    if (!isFailure(error)) throw error;
    deps.log.warn("What a claim was built on is not written back yet", { volume: record.volumeId, error });
  }
}

/** By the kernel's word, not the Record's; and while an unmount that the table does not show any more still syncs. */
async function isInUse({ mounts, unmounts }: StageDeps, record: ClaimRecord): Promise<boolean> {
  const { volumeId, stage, publications } = record;
  if (unmounts.isRunning(volumeId)) return true;
  const paths = [...publications.map(({ target }) => target), ...(stage === undefined ? [] : [stage.path])];
  for (const path of paths) if ((await mounts.at(path)).length > 0) return true;
  return false;
}

function letGo(
  { log, metrics }: Pick<DeleteDeps, "log" | "metrics">,
  record: ClaimRecord,
  { why, isLoss }: Extract<WriteBackStep, { kind: "let-go" }>,
): ClaimRecord {
  const fields = { volume: record.volumeId, why };
  if (isLoss) metrics.countClaim("lost");
  if (isLoss) log.error("A claim's changes are lost for the registry", fields);
  else log.info("A claim's changes are not written back", fields);
  return letGoOfClaim(record, why);
}

/** The Record last: until then the next call goes on from here. */
async function remove(deps: StageDeps, record: ClaimRecord): Promise<void> {
  await clearDisk(deps, record);
  await deps.claims.remove(record.volumeId);
  deps.letIn.forget(record.volumeId);
}
