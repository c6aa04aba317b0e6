// What pods took out of the projects that count it: looked for now and then, behind the calls that ask.
import { isFailure } from "../core/failure.ts";
import { formatBytes } from "../core/quantity.ts";
import type { Log } from "../host/log.ts";
import type { Strays as Found } from "../host/quotas.ts";
import type { Limits } from "./limits.ts";
import type { Clock } from "./patience.ts";

export type StraysDeps = {
  readonly limits: Pick<Limits, "strays">;
  readonly clock: Pick<Clock, "now">;
  readonly log: Log;
};

/** A volume that is limited. */
export type Suspect = { readonly volumeId: string; readonly directory: string; readonly project: number };

type Seen = { readonly found: Found; readonly nextMs: number; readonly askedMs: number };

const PAUSE_MS = 10 * 60_000;
/** A look at a million files takes seconds: of the time it never takes more than a hundredth. */
const PAUSE_PER_LOOK = 100;
/** The kubelet asks every minute: what it did not ask for so long is gone. */
const FORGOTTEN_MS = 30 * 60_000;
const NONE: Found = { bytes: 0, inodes: 0 };

/**
 * The kernel counts by project, and a file that has none is nobody's: only a look at each file tells. So this looks at
 * volumes that somebody asks about, one after the other, each ten minutes at the most often; answers are what it saw last.
 */
export class Strays implements AsyncDisposable {
  readonly #deps: StraysDeps;
  readonly #seen = new Map<string, Seen>();
  readonly #stopping = new AbortController();
  #looking: Promise<void> = Promise.resolve();

  constructor(deps: StraysDeps) {
    this.#deps = deps;
  }

  /** Of all volumes, as far as was seen. */
  get bytes(): number {
    this.#forget();
    return [...this.#seen.values()].reduce((sum, { found }) => sum + found.bytes, 0);
  }

  /** What was out when it was looked at last. Never waits: where it is time for another look, that begins behind. */
  of(suspect: Suspect): Found {
    const now = this.#deps.clock.now();
    const { found, nextMs } = this.#seen.get(suspect.directory) ?? { found: NONE, nextMs: now };
    const isDue = nextMs <= now;
    // Nobody else asks for it until that look is over.
    this.#seen.set(suspect.directory, { found, nextMs: isDue ? Infinity : nextMs, askedMs: now });
    if (isDue) this.#looking = this.#looking.then(() => this.#look(suspect, found));
    return found;
  }

  /** Stops looking. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopping.abort(new Error("the plugin stops"));
    await this.#looking;
  }

  async #look(suspect: Suspect, before: Found): Promise<void> {
    const { limits, clock } = this.#deps;
    const { directory, project } = suspect;
    if (this.#stopping.signal.aborted) return;
    const began = clock.now();
    let found = before;
    try {
      found = (await limits.strays(directory, project, this.#stopping.signal)) ?? NONE;
      this.#tell(suspect, before, found);
    } catch (error) {
      this.#excuse(suspect, error);
    }
    const now = clock.now();
    const nextMs = now + Math.max(PAUSE_MS, PAUSE_PER_LOOK * (now - began));
    this.#seen.set(directory, { found, nextMs, askedMs: now });
    this.#forget();
  }

  #forget(): void {
    const last = this.#deps.clock.now() - FORGOTTEN_MS;
    for (const [name, { askedMs }] of this.#seen) if (askedMs < last) this.#seen.delete(name);
  }

  #tell({ volumeId }: Suspect, before: Found, { bytes, inodes }: Found): void {
    if (inodes === 0 || (bytes === before.bytes && inodes === before.inodes)) return;
    this.#deps.log.warn("A pod took files out of the limit of its volume; they count nowhere", {
      volume: volumeId,
      size: formatBytes(bytes),
      files: inodes,
    });
  }

  /** Pods rename and remove what is looked at, and volumes go: the next look may see more. */
  #excuse({ volumeId }: Suspect, error: unknown): void {
    if (this.#stopping.signal.aborted || isFailure(error, "not-found")) return;
    this.#deps.log.info("Cannot look for files outside of a volume's limit", { volume: volumeId, error });
  }
}
