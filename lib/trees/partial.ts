// A blob that is on its way: a sparse file that is written anywhere, read from its start, and resumed after a crash.
import { type FileHandle, mkdir, open, rm } from "node:fs/promises";
import { FeedProgress } from "../archive/feed-progress.ts";
import type { Feed } from "../archive/unpacker.ts";
import type { Range } from "../core/ranges.ts";
import type { BlobSink, Source } from "../registry/reader.ts";
import { Intervals } from "./intervals.ts";
import type { StoredBlob } from "./layer.ts";
import { dataOf, makeNew, mapOf, removedBare, unmake } from "./partial-directory.ts";
import { chunkBytes, chunksOf, MapWriter, type PartialMap, readMap } from "./partial-map.ts";

export type PartialOptions = {
  /** Hears of all bytes that are written. */
  readonly onWrite?: () => void;
  /** Whether it is to be hashed on its way, where it is short. */
  readonly hashes?: boolean;
};

export type PartialPlace = { readonly directory: string; readonly boot: string };

/** What a partial that nobody writes at the moment holds, or undefined when it is of no use under this boot. */
export async function readPartial({ directory, boot }: PartialPlace): Promise<PartialMap | undefined> {
  const map = await readMap(mapOf(directory));
  return map !== undefined && (map.header.boot === "" || map.header.boot === boot) ? map : undefined;
}

/** How much of the blob a resting partial keeps. */
export function restingBytes({ header, chunks }: PartialMap): number {
  return chunks.reduce((sum, chunk) => sum + lengthOf(spanOf(chunk, header.size)), 0);
}

const spanOf = (chunk: number, size: number): Range => ({
  start: chunk * chunkBytes,
  end: Math.min(size, (chunk + 1) * chunkBytes),
});

const lengthOf = ({ start, end }: Range) => end - start;

/** The one writer of a partial's directory. Ends by exactly one of `suspend()` and `remove()`. */
export class Partial implements BlobSink {
  readonly size: number;
  readonly feed: Feed;
  readonly directory: string;
  /** Whether its digest is likely to be known as soon as it is whole, so that nobody need read it for that. */
  readonly hashes: boolean;
  readonly #data: FileHandle;
  readonly #map: MapWriter | undefined;
  readonly #blob: StoredBlob;
  readonly #written = new Intervals();
  readonly #sources = new Map<string, Source>();
  readonly #boot: string;
  #closed = false;
  #onWrite: () => void = () => {};
  #digest: string | undefined;
  /** Nothing but the data is in the directory. */
  #bare = true;
  /** Whether it went on with bytes that an earlier run left on the disk. */
  isResumed = false;

  private constructor(
    { directory, boot }: PartialPlace,
    blob: StoredBlob,
    data: FileHandle,
    own: { readonly map: MapWriter | undefined; readonly hashes: boolean },
  ) {
    this.directory = directory;
    this.#boot = boot;
    this.#blob = blob;
    this.#data = data;
    this.#map = own.map;
    this.hashes = own.hashes;
    this.size = blob.size;
    const { digest, size } = blob;
    this.feed = { path: dataOf(directory), size, digest, progress: new FeedProgress() };
  }

  /** Takes up what is there of this blob, or begins anew. */
  static async open(place: PartialPlace, blob: StoredBlob, options: PartialOptions = {}): Promise<Partial> {
    const { directory } = place;
    const found = await Partial.#prepare(place, blob);
    try {
      return await Partial.#start(place, { blob, found }, options);
    } catch (error) {
      if (found === undefined) await unmake(directory);
      throw error;
    }
  }

  static async #start(
    { directory, boot }: PartialPlace,
    { blob, found }: { readonly blob: StoredBlob; readonly found: PartialMap | undefined },
    options: PartialOptions,
  ): Promise<Partial> {
    const data = await open(dataOf(directory), found === undefined ? "w+" : "r+", 0o600);
    try {
      const chunks = found?.chunks ?? [];
      // A blob of one chunk has nothing to resume from while it is written: no map until it is suspended whole.
      const map =
        chunksOf(blob.size) > 1
          ? await MapWriter.create(mapOf(directory), { version: 1, boot, ...plain(blob) }, chunks)
          : undefined;
      const hashes = options.hashes === true && chunksOf(blob.size) === 1;
      const partial = new Partial({ directory, boot }, blob, data, { map, hashes });
      if (options.onWrite !== undefined) partial.#onWrite = options.onWrite;
      partial.#bare = map === undefined && found === undefined;
      partial.isResumed = chunks.length > 0;
      for (const chunk of chunks) partial.#written.add(spanOf(chunk, blob.size));
      partial.feed.progress.advance(partial.#written.contiguous);
      return partial;
    } catch (error) {
      await data.close();
      throw error;
    }
  }

  /** Ensures the directory; returns what can be gone on from there, and leaves nothing else in it. */
  static async #prepare(place: PartialPlace, blob: StoredBlob): Promise<PartialMap | undefined> {
    if (await makeNew(place.directory)) return undefined;
    const found = await readPartial(place);
    if (found !== undefined && found.header.digest === blob.digest && found.header.size === blob.size)
      return found;
    await rm(place.directory, { recursive: true, force: true });
    await mkdir(place.directory, { mode: 0o700 });
    return undefined;
  }

  get written(): number {
    return this.#written.total;
  }

  /** Who sent bytes since this was opened. */
  get sources(): readonly Source[] {
    return [...this.#sources.values()];
  }

  /** Of what was written, once that is whole and came in order; undefined where it has to be read to be known. */
  get digest(): string | undefined {
    return this.#digest;
  }

  missing(): readonly Range[] {
    return this.#written.missing(this.size);
  }

  get into(): number {
    return this.#data.fd;
  }

  async wrote(range: Range, source: Source, digest?: string): Promise<void> {
    if (range.start < 0 || range.end > this.size) throw new RangeError("a write beyond the blob's end");
    this.#sources.set(`${source.kind} ${source.host}`, source);
    this.#digest = digest;
    const whole = this.#written.add(range);
    this.feed.progress.advance(this.#written.contiguous);
    this.#onWrite();
    // After the bytes, never before: what the map claims is written whatever dies now.
    await this.#map?.mark(this.#completed(range, whole));
  }

  /**
   * Closes it so that a later open goes on from here, with `sync` after a power loss too.
   * Returns how many bytes are kept; where that is none, nothing is left.
   */
  async suspend(options: { readonly sync: boolean }): Promise<number> {
    const chunks = this.#wholeChunks();
    if (chunks.length === 0) {
      await this.remove();
      return 0;
    }
    if (options.sync) await this.#sync();
    await this.close();
    const boot = options.sync ? "" : this.#boot;
    const header = { version: 1, boot, ...plain(this.#blob) } as const;
    await using map = await MapWriter.create(mapOf(this.directory), header, chunks);
    if (options.sync) await map.sync();
    return restingBytes({ header, chunks });
  }

  /** Closes it and takes it away; what was linked from its file elsewhere stays. */
  async remove(): Promise<void> {
    await this.close();
    if (this.#bare && (await removedBare(this.directory))) return;
    // First, since a map without its data would claim what is not there.
    await rm(mapOf(this.directory), { force: true });
    await rm(this.directory, { recursive: true, force: true });
  }

  /** Gives its descriptors back, as soon as nothing is written any more. Repeating is safe. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await this.#data.close();
    await this.#map?.[Symbol.asyncDispose]();
  }

  async #sync(): Promise<void> {
    if (!this.#closed) return await this.#data.datasync();
    await using data = await open(this.feed.path, "r+");
    await data.datasync();
  }

  #wholeChunks(): number[] {
    const gaps = this.missing();
    const isWhole = ({ start, end }: Range) => !gaps.some((gap) => gap.start < end && gap.end > start);
    return Array.from({ length: chunksOf(this.size) }, (_, chunk) => chunk).filter((chunk) =>
      isWhole(spanOf(chunk, this.size)),
    );
  }

  #completed(fresh: Range, whole: Range): number[] {
    const chunks: number[] = [];
    for (let at = Math.floor(fresh.start / chunkBytes); at * chunkBytes < fresh.end; at++) {
      const span = spanOf(at, this.#blob.size);
      if (span.start >= whole.start && span.end <= whole.end) chunks.push(at);
    }
    return chunks;
  }
}

function plain({ digest, size }: StoredBlob): StoredBlob {
  return { digest, size };
}
