// Brings a blob: the first answer decides whether many ranges are asked for at once or one stream is kept.
import { setMaxListeners } from "node:events";
import { planRanges, type Range } from "../core/ranges.ts";
import type { AskDeps } from "./ask.ts";
import { type Endpoint, sourceOf } from "./endpoint.ts";
import { Fault, TRIES } from "./fault.ts";
import type { Limits } from "./limits.ts";
import { openRange, type Route } from "./open-range.ts";
import { Patience, type PersistDeps } from "./persist.ts";
import { pour } from "./pour.ts";
import type { BlobSink, WantedBlob } from "./reader.ts";
import type { Received } from "./received.ts";

export type BlobDeps = AskDeps<Received> &
  PersistDeps & {
    readonly limits: Limits;
    readonly failed: (endpoint: Endpoint, fault: Fault) => void;
  };

export type BlobJob = {
  readonly blob: WantedBlob;
  readonly sink: BlobSink;
  /** In the order of preference; the last one's refusal is final. */
  readonly routes: readonly Route[];
  /** Whose connections are counted together: the repository. */
  readonly group: string;
};

/** A host that failed so often for one blob is not asked for it any more, while there is another. */
const MOST_FAULTS = 3;
/** Fewer bytes than this between two faults are not progress: a host that sends a byte at a time is not waited for. */
const PROGRESS_BYTES = 64 * 1024;

/** Resolves when the sink has every byte it missed. Nothing is written any more once it settles. */
export async function bringBlob(deps: BlobDeps, job: BlobJob, signal: AbortSignal): Promise<void> {
  await new Bringing(deps, job, signal).run();
}

/** What one answer is to bring, and what of that is still to come. */
type Share = { claimed: readonly Range[]; left: readonly Range[] };

class Bringing {
  readonly #deps: BlobDeps;
  readonly #job: BlobJob;
  readonly #signal: AbortSignal;
  readonly #stop = new AbortController();
  readonly #queue: Range[];
  readonly #workers = new Set<Promise<void>>();

  constructor(deps: BlobDeps, job: BlobJob, signal: AbortSignal) {
    this.#deps = deps;
    this.#job = job;
    this.#signal = AbortSignal.any([signal, this.#stop.signal]);
    setMaxListeners(0, this.#signal);
    this.#queue = [...planRanges(job.sink.missing(), deps.limits.rangeBytes)];
  }

  async run(): Promise<void> {
    this.#hire(1);
    while (this.#workers.size > 0) await Promise.race(this.#workers);
    this.#signal.throwIfAborted();
  }

  #hire(upTo: number): void {
    while (this.#workers.size < upTo) {
      const worker: Promise<void> = this.#work()
        .catch((error: unknown) => this.#stop.abort(error))
        .finally(() => this.#workers.delete(worker));
      this.#workers.add(worker);
    }
  }

  async #work(): Promise<void> {
    for (let range = this.#queue.shift(); range !== undefined; range = this.#queue.shift())
      await this.#bring(range);
  }

  /** Brings the range, and with it whatever is queued when the answer is the whole blob. */
  async #bring(range: Range): Promise<void> {
    const patience = new Patience(this.#deps);
    let share: Share = { claimed: [range], left: [range] };
    for (let turn = 0; share.left.length > 0; ) {
      const candidates = this.#candidates();
      const route = candidates[turn % candidates.length];
      if (route === undefined) throw new Error("a blob without a host");
      try {
        await this.#attempt(route, share);
      } catch (error) {
        this.#signal.throwIfAborted();
        if (!(error instanceof Fault)) throw error;
        // Nothing that an answer brought counts when it was not what it said it was.
        if (error.facts.tries === TRIES.nonsense) share.left = share.claimed;
        if (lengthOf(share.claimed) - lengthOf(share.left) >= PROGRESS_BYTES) patience.renew();
        turn = await this.#recover(error, { route, turn, candidates, patience });
      }
      // What is left of a stream that broke is for all workers again.
      this.#queue.unshift(...share.left.slice(1));
      share = { claimed: share.left.slice(0, 1), left: share.left.slice(0, 1) };
    }
  }

  async #attempt(route: Route, share: Share): Promise<void> {
    const { limits } = this.#deps;
    const { blob, sink, group } = this.#job;
    const [range] = share.left;
    if (range === undefined) return;
    using _slot = await limits.blobs.take({ group, line: blob.digest }, this.#signal);
    const opened = await openRange(this.#deps, { route, blob, range }, this.#signal);
    if (opened.incoming.status === 206) this.#hire(Math.min(limits.connections, this.#queue.length + 1));
    else share.claimed = sorted([...share.claimed, ...this.#queue.splice(0)]);
    share.left = share.claimed;
    const source = sourceOf(route.party.endpoint);
    const [first, ...others] = share.claimed;
    const isAll = first?.start === 0 && first.end === blob.size && others.length === 0;
    const wrote = async (done: Range, digest: string | undefined) => {
      await sink.wrote(done, source, digest);
      this.#deps.observe.bytes(source, done.end - done.start);
      share.left = without(share.left, done);
    };
    const hashes = isAll && sink.hashes === true;
    await pour(opened, { wanted: share.claimed, hashes, sink: { into: sink.into, wrote } });
  }

  /** Hosts that are still worth asking; the last one always is. */
  #candidates(): readonly Route[] {
    const { routes } = this.#job;
    return routes.filter((route) => route.faults < MOST_FAULTS || route === routes.at(-1));
  }

  /** Whose turn it is next: at once on another host, after a wait when all had theirs. Throws when there is no point. */
  async #recover(
    fault: Fault,
    at: { route: Route; turn: number; candidates: readonly Route[]; patience: Patience },
  ): Promise<number> {
    const { endpoint } = at.route.party;
    at.route.faults += fault.facts.tries === TRIES.refusal ? MOST_FAULTS : 1;
    this.#deps.failed(endpoint, fault);
    if (at.turn + 1 < at.candidates.length) return this.#candidates().length > 1 ? at.turn + 1 : 0;
    await at.patience.wait(fault, sourceOf(endpoint).host, this.#signal);
    return 0;
  }
}

/** `ranges` without the bytes of `done`, which lie within one of them. */
function without(ranges: readonly Range[], done: Range): readonly Range[] {
  return ranges.flatMap((range) => {
    if (done.end <= range.start || done.start >= range.end) return [range];
    const left = [
      { start: range.start, end: done.start },
      { start: done.end, end: range.end },
    ];
    return left.filter(({ start, end }) => start < end);
  });
}

const sorted = (ranges: readonly Range[]) => [...ranges].sort((a, b) => a.start - b.start);

const lengthOf = (ranges: readonly Range[]) => ranges.reduce((sum, { start, end }) => sum + end - start, 0);
