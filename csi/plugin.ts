// The node plugin, whole: what a start does in which order, and what a stop undoes.
import { randomBytes } from "node:crypto";
import path from "node:path";
import { isLimited, isPendingWriteBack } from "../lib/core/claim-record.ts";
import { rootsOfInline } from "../lib/core/record.ts";
import { sweepAttempts } from "../lib/host/attempts.ts";
import { takeLock } from "../lib/host/lock.ts";
import type { Log } from "../lib/host/log.ts";
import type { NodeSettings } from "../lib/settings/node.ts";
import { openTrees } from "../lib/trees/open-trees.ts";
import type { Trees } from "../lib/trees/trees.ts";
import { ClaimRecords } from "../lib/volumes/claim-records.ts";
import type { Limits } from "../lib/volumes/limits.ts";
import { Promises } from "../lib/volumes/promises.ts";
import { Records } from "../lib/volumes/records.ts";
import { recover } from "../lib/volumes/recover.ts";
import { Strays } from "../lib/volumes/strays.ts";
import { openJourneys } from "./journeys.ts";
import { type Listening, listen } from "./listen.ts";
import { placeStore } from "./place-store.ts";
import type { Ports } from "./ports.ts";

export interface Plugin {
  readonly listening: Listening;
  /** Finishes the calls under way and leaves flights to be resumed; mounts stay. */
  stop(): Promise<void>;
}

const TEND_MS = 30_000;
/** Less than the thirty seconds that Kubernetes gives a pod to end. */
const GRACE_MS = 20_000;

/** Everything that has to be right before the first call is right when the socket appears. */
export async function startPlugin(settings: NodeSettings, ports: Ports): Promise<Plugin> {
  const { files, log } = ports;
  await using undo = new AsyncDisposableStack();
  await files.makeDirectory(settings.root);
  undo.use(takeLock(path.join(settings.root, "lock")));
  const ended = await sweepAttempts(path.join(settings.root, "attempts"));
  if (ended > 0) log.warn("Ended what an earlier run left running", { processes: ended });
  const { root, limits, trash, ...placing } = await placeStore(settings, ports);
  const notes = [...placing.notes, ...(await noteLacking(ports))];
  const placed = { ...settings, root };
  const records = await Records.open(files, root, log);
  const claims = await ClaimRecords.open(files, root, log);
  const discard = (at: string) => trash.take(at);
  await recover({ ...ports, records, claims, root, discard });
  await repairLimits(limits, [records, claims], log);
  const promises = new Promises({ claims, limits, overcommit: settings.claims.overcommit });
  const trees = undo.use(await openStore(placed, ports, promises));
  claims.holdBy(trees);
  claims.roomBy(async (bytes) => await trees.collect(bytes));
  for (const [name, record] of records.all) trees.hold(name, rootsOfInline(record));
  // A pod may still be reading what such a Record names.
  if (records.unreadable.length + claims.unreadable.length > 0) trees.holdAll("records that cannot be read");
  const strays = undo.use(new Strays({ ...ports, limits }));
  watch(ports, { trees, records, claims, limits, strays });
  undo.use(ports.every(TEND_MS, () => trees.tend()));
  const parts = { ports, records, claims, trees, limits, promises, strays, discard };
  const journeys = undo.use(openJourneys(placed, parts));
  const listening = undo.use(await listen(settings, { ...ports, notes }, { claims: true, journeys }));
  const { driver, node } = settings;
  const limited = limits.areEnforced;
  log.info("Larder is ready", { driver, node, root, limited, health: listening.health });
  const started = undo.move();
  return {
    listening,
    stop: async () => {
      await listening.drain(GRACE_MS);
      await started.disposeAsync();
    },
  };
}

async function openStore(settings: NodeSettings, ports: Ports, promises: Promises): Promise<Trees> {
  const { store: marks, pull, proof, root } = settings;
  const { clock } = ports;
  const { removeTree } = ports.remover;
  const own = { removeTree, now: () => clock.now(), salt: randomBytes(32), promised: () => promises.weigh() };
  return await openTrees({ ...ports, ...own }, root, {
    marks,
    concurrency: pull.concurrency,
    proofTtlMs: proof.ttlMs,
    staleTags: proof.staleTags,
    keepSetuid: pull.keepSetuid,
  });
}

/** Caches are read without ORAS, so that its lack stops nobody from starting. */
async function noteLacking({ lacking, log }: Ports): Promise<readonly string[]> {
  const why = await lacking();
  if (why === undefined) return [];
  const note = `Caches are not written back: ${why}`;
  log.warn(note);
  return [note];
}

/** What a Record that cannot be read has is not known, and left as it is. */
async function repairLimits(limits: Limits, kept: readonly [Records, ClaimRecords], log: Log): Promise<void> {
  const [records, claims] = kept;
  limits.know(() => [...records.scratches(), ...claims.all.values()]);
  if (records.unreadable.length + claims.unreadable.length > 0) return;
  const lifted = await limits.repair([...claims.all.values()].filter(isLimited));
  if (lifted > 0) log.info("Lifted limits that no volume has", { projects: lifted });
}

type Watchable = {
  readonly trees: Trees;
  readonly records: Records;
  readonly claims: ClaimRecords;
  readonly limits: Limits;
  readonly strays: Strays;
};

function watch({ metrics }: Ports, { trees, records, claims, limits, strays }: Watchable): void {
  metrics.watch({
    strayBytes: () => strays.bytes,
    isLimited: () => limits.areEnforced,
    cacheBytes: () => trees.figures().usedBytes,
    cacheItems: () => trees.figures().layers + trees.figures().trees,
    openVolumes: () => records.all.size,
    claims: () => claims.all.size,
    pendingWriteBacks: () => [...claims.all.values()].filter(isPendingWriteBack).length,
  });
}
