// The port through which everything is read from registries: references, manifests, proofs, blobs.
import type { Access } from "../core/access.ts";
import type { Digest } from "../core/digest.ts";
import type { Range } from "../core/ranges.ts";
import type { Reference } from "../core/reference.ts";

/** Who sent the bytes: the registry that was named, or a mirror of it. */
export type Source = { readonly kind: "upstream" | "mirror"; readonly host: string };

/** What a Reference means now. */
export type Resolved = {
  readonly digest: Digest;
  readonly mediaType: string;
  readonly size: number;
  readonly source: Source;
};

/** A manifest as it was sent; the bytes have the digest that was asked for. */
export type FetchedManifest = {
  readonly bytes: Uint8Array;
  readonly mediaType: string;
  readonly source: Source;
};

/** A manifest, and its digest. */
export type FetchedTag = FetchedManifest & { readonly digest: Digest };

/** Which blob to bring. */
export type WantedBlob = {
  readonly digest: Digest;
  readonly size: number;
  /** Passes mirrors by: for the second try, after a mirror has sent the wrong bytes. */
  readonly upstreamOnly?: boolean;
};

/**
 * Where the bytes of one blob go. The reader asks for what is missing, in any order; whichever thread receives a piece
 * puts it in its place and has it told here.
 */
export interface BlobSink {
  readonly size: number;
  /** The open descriptor of a file, or as much memory as the blob has bytes. Nothing is put there once `fetchBlob` settled. */
  readonly into: number | SharedArrayBuffer;
  /** Whether the digest is wanted of what comes whole and in order. */
  readonly hashes?: boolean;
  /** What is still to come, in whole ranges; asked once at the start of fetchBlob. */
  missing(): readonly Range[];
  /** These bytes are in their place. `digest`: of the whole blob, with the last piece of one that was hashed on its way. */
  wrote(range: Range, source: Source, digest?: string): Promise<void>;
}

/**
 * Reads from registries and their mirrors. Retries, tokens, redirects and the node-wide limits are inside:
 * a request is retried for two minutes at most and then ends with its Failure.
 * An aborted call rejects with the signal's reason, or with the Failure that a question was waiting out; a sink's own
 * error passes through unchanged.
 */
export interface Reader extends AsyncDisposable {
  /** What the Reference's tag (or digest) means now, asked of hosts that may resolve only. Failures: not-found, denied, unavailable, invalid. */
  resolve(access: Access, reference: Reference, signal: AbortSignal): Promise<Resolved>;
  /** What a tag means at the named registry itself, never a mirror, and the manifest too, in one question: for tags that move often, which mirrors may be behind with. */
  fetchTag(access: Access, reference: Reference, signal: AbortSignal): Promise<FetchedTag>;
  /** The manifest of that digest, at most 32 MiB, from any host. Failures: also corrupt, when what the registry sent has another digest. */
  fetchManifest(access: Access, digest: Digest, signal: AbortSignal): Promise<FetchedManifest>;
  /** The config of that digest, as fetchManifest(). */
  fetchConfig(access: Access, digest: Digest, signal: AbortSignal): Promise<Uint8Array>;
  /** Blobs will be asked for next: what receives them gets ready beside other questions. */
  warm(): void;
  /** Resolves when the named registry itself, never a mirror, answered these credentials that it has this manifest. Failures: denied, not-found, unavailable. */
  prove(access: Access, digest: Digest, signal: AbortSignal): Promise<void>;
  /** Brings every missing byte to the sink, sizes checked; the digest is the caller's to check, who hashes while reading. Failures: also corrupt, for sizes that cannot be. */
  fetchBlob(access: Access, blob: WantedBlob, sink: BlobSink, signal: AbortSignal): Promise<void>;
  /** What a request for the repository met last that is about to be made again, in words; undefined where nothing is amiss. */
  troubleOf(access: Access): string | undefined;
}
