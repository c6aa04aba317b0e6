// A typed client over the ORAS CLI: all that is written to registries and OCI layouts, copied, listed or deleted there.
import type { Digest } from "../core/digest.ts";
import type { Descriptor } from "../core/manifest.ts";
import type { PulledFile } from "./oras-answers.ts";
import type { Cancellation } from "./oras-command.ts";
import type { Target } from "./oras-target.ts";

/** A tag, or a digest. */
export type Name = string;

/** A file or directory to push, relative to `directory`; its path becomes its title. */
export type PushedFile = { readonly path: string; readonly mediaType?: string };

export type Push = {
  /** Where the paths begin. */
  readonly directory: string;
  readonly files: readonly PushedFile[];
  readonly tags: readonly string[];
  readonly artifactType?: string;
  readonly config?: PushedFile;
  /** By title; `$manifest` and `$config` for those. */
  readonly annotations?: Readonly<Record<string, Readonly<Record<string, string>>>>;
};

export type ManifestPush = { readonly bytes: Uint8Array; readonly mediaType: string; readonly name: Name };

export type Copy = {
  readonly from: Target;
  readonly name: Name;
  readonly to: Target;
  /** What it is called there; by its digest alone where there are none. */
  readonly tags: readonly string[];
  /** Its referrers too. */
  readonly recursive?: boolean;
};

/**
 * Each resolves when the registry has confirmed, and may be repeated. Every one is a Failure in the words of
 * `oras-failures.ts`: not-found, denied, unavailable, invalid, unsupported, out-of-range, corrupt, full, conflict.
 * Cancelled, it rejects with the signal's reason once ORAS has ended. ORAS takes manifests up to 4 MiB.
 */
export interface Oras {
  resolve(
    target: Target,
    name: Name,
    options?: Cancellation & { readonly platform?: string },
  ): Promise<Digest>;
  tag(target: Target, name: Name, tags: readonly string[], options?: Cancellation): Promise<void>;
  /** In the registry's order, from after `last` on. */
  listTags(target: Target, options?: Cancellation & { readonly last?: string }): Promise<readonly string[]>;
  /** What refers to it directly. */
  discover(
    target: Target,
    name: Name,
    options?: Cancellation & { readonly artifactType?: string },
  ): Promise<readonly Descriptor[]>;

  fetchManifest(
    target: Target,
    name: Name,
    options?: Cancellation,
  ): Promise<{ readonly descriptor: Descriptor; readonly bytes: Uint8Array }>;
  pushManifest(target: Target, manifest: ManifestPush, options?: Cancellation): Promise<Descriptor>;
  /** Afterwards it is not there, whether it was or not; with it go all its tags. */
  deleteManifest(target: Target, name: Name, options?: Cancellation): Promise<void>;

  /** Hands the blob over as it comes; its digest held when this resolves. */
  fetchBlob(
    target: Target,
    digest: Digest,
    onChunk: (chunk: Uint8Array) => void | Promise<void>,
    options?: Cancellation,
  ): Promise<void>;
  /** From a file by its absolute path, from memory, or as it comes. */
  pushBlob(
    target: Target,
    blob: { readonly digest: Digest; readonly size: number },
    content: string | Uint8Array | AsyncIterable<Uint8Array>,
    options?: Cancellation,
  ): Promise<void>;
  /** Afterwards it is not there, whether it was or not. */
  deleteBlob(target: Target, digest: Digest, options?: Cancellation): Promise<void>;

  /** Writes the titled files under `directory`. */
  pull(
    target: Target,
    name: Name,
    directory: string,
    options?: Cancellation & { readonly platform?: string; readonly keepOldFiles?: boolean },
  ): Promise<{ readonly digest: Digest; readonly files: readonly PulledFile[] }>;
  push(target: Target, artifact: Push, options?: Cancellation): Promise<Descriptor>;
  /** Between registries and layouts; on one host its blobs are mounted rather than sent. */
  copy(copy: Copy, options?: Cancellation): Promise<Digest>;
}
