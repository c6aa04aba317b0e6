// The map beside a partial blob: one bit per chunk that is written, so that a crash costs no more than chunks.
import { type FileHandle, open, rename } from "node:fs/promises";
import { isFailure } from "../core/failure.ts";
import { failureOf } from "../host/errno.ts";
import type { StoredBlob } from "./layer.ts";

/** The header is one line of JSON, padded; the bits begin after it. */
const headerBytes = 512;

/** Small enough to lose, large enough that a map is short. */
export const chunkBytes = 4 * 1024 * 1024;

/**
 * `boot` is the boot under which the bits hold, since until a sync only the page cache vouches for the bytes;
 * "" once everything was synced.
 */
export type MapHeader = StoredBlob & { readonly version: 1; readonly boot: string };

export function chunksOf(size: number): number {
  return Math.ceil(size / chunkBytes);
}

export type PartialMap = { readonly header: MapHeader; readonly chunks: readonly number[] };

/** What the map at `path` says, or undefined when there is none that can be trusted. */
export async function readMap(path: string): Promise<PartialMap | undefined> {
  try {
    await using file = await open(path, "r");
    const bytes = await file.readFile();
    const header = JSON.parse(bytes.subarray(0, headerBytes).toString("utf8")) as MapHeader;
    if (header.version !== 1) return undefined;
    const bits = bytes.subarray(headerBytes);
    const isSet = (chunk: number) => ((bits[chunk >> 3] ?? 0) & (1 << (chunk & 7))) !== 0;
    return {
      header,
      chunks: Array.from({ length: chunksOf(header.size) }, (_, chunk) => chunk).filter(isSet),
    };
  } catch (error) {
    // It may be a good one.
    if (isFailure(failureOf(error, "Cannot read a map"), "unavailable")) throw error;
    return undefined;
  }
}

/** The open map of a partial that is being written. */
export class MapWriter implements AsyncDisposable {
  readonly #file: FileHandle;
  readonly #bits: Uint8Array;

  private constructor(file: FileHandle, bits: Uint8Array) {
    this.#file = file;
    this.#bits = bits;
  }

  /** Makes the map say exactly `chunks`; whole at every moment, since it appears by rename. */
  static async create(path: string, header: MapHeader, chunks: readonly number[]): Promise<MapWriter> {
    const bits = new Uint8Array(Math.ceil(chunksOf(header.size) / 8));
    for (const chunk of chunks) bits[chunk >> 3] = (bits[chunk >> 3] ?? 0) | (1 << (chunk & 7));
    const line = Buffer.from(JSON.stringify(header).padEnd(headerBytes, " "));
    const fresh = `${path}.new`;
    const file = await open(fresh, "w+", 0o600);
    try {
      await file.write(Buffer.concat([line, bits]));
      await rename(fresh, path);
    } catch (error) {
      await file.close();
      throw error;
    }
    return new MapWriter(file, bits);
  }

  /** Says that the chunks are written. One byte each: a kill leaves the old one or the new one. */
  async mark(chunks: readonly number[]): Promise<void> {
    for (const chunk of chunks) {
      const at = chunk >> 3;
      const byte = (this.#bits[at] ?? 0) | (1 << (chunk & 7));
      this.#bits[at] = byte;
      await this.#file.write(Uint8Array.of(byte), 0, 1, headerBytes + at);
    }
  }

  async sync(): Promise<void> {
    await this.#file.datasync();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#file.close();
  }
}
