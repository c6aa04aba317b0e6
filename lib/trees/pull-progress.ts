// How far a pull is, for those who wait for it.
import type { Digest } from "../core/digest.ts";
import { type ProgressSample, type PullProgress, rateOf } from "../core/progress.ts";
import type { Source } from "../registry/reader.ts";
import type { Blobs } from "./blobs.ts";

export type Progress = Omit<PullProgress, "artifact">;

type Wanted = { readonly digest: Digest; readonly size: number };

/** More than the window of a rate holds. */
const maxSamples = 64;

export class ProgressMeter {
  readonly #blobs: Pick<Blobs, "arriving">;
  readonly #registry: string;
  readonly #now: () => number;
  readonly #missing = new Map<Digest, number>();
  readonly #sources = new Map<string, Source>();
  #samples: ProgressSample[] = [];
  #totalBytes: number | undefined;
  #trouble: () => string | undefined = () => undefined;

  constructor(blobs: Pick<Blobs, "arriving">, registry: string, now: () => number) {
    this.#blobs = blobs;
    this.#registry = registry;
    this.#now = now;
  }

  /** What asks whether anything is amiss. */
  troubledBy(trouble: () => string | undefined): void {
    this.#trouble = trouble;
  }

  /** These have to be brought. */
  expect(blobs: readonly Wanted[]): void {
    this.#totalBytes ??= 0;
    for (const { digest, size } of blobs) {
      if (this.#missing.has(digest)) continue;
      this.#missing.set(digest, size);
      this.#totalBytes += size;
    }
  }

  /** These are here. */
  finish(blobs: readonly Wanted[]): void {
    for (const { digest } of blobs) this.#missing.delete(digest);
  }

  read(): Progress {
    const doneBytes = this.#count();
    const now = this.#now();
    this.#samples = [...this.#samples, { atMs: now, bytes: doneBytes }].slice(-maxSamples);
    const bytesPerSecond = rateOf(this.#samples, now);
    const trouble = this.#trouble();
    return {
      doneBytes,
      sources: [...this.#sources.values()],
      ...(this.#totalBytes === undefined ? {} : { totalBytes: this.#totalBytes }),
      ...(bytesPerSecond === undefined ? {} : { bytesPerSecond }),
      ...(trouble === undefined ? {} : { trouble }),
    };
  }

  #count(): number {
    let doneBytes = this.#totalBytes ?? 0;
    for (const [digest, size] of this.#missing) {
      const arriving = this.#blobs.arriving(this.#registry, digest);
      doneBytes -= size - (arriving?.written ?? 0);
      for (const source of arriving?.sources ?? [])
        this.#sources.set(`${source.kind} ${source.host}`, source);
    }
    return doneBytes;
  }
}
