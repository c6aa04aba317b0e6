// What is pushed as one version of a Cache, with what it is pushed, and what became of it.
import type { Access } from "../core/access.ts";
import type { Version } from "../core/cache-key.ts";
import type { Digest } from "../core/digest.ts";
import type { Manifest } from "../core/manifest.ts";
import type { Oras } from "./oras.ts";
import type { PersistDeps } from "./persist.ts";
import type { BlobName, Upstream } from "./upstream.ts";

export type PushDeps = PersistDeps & { readonly oras: Oras; readonly upstream: Upstream };

/** A blob of this node: a file by its absolute path, or bytes. */
export type OwnBlob = BlobName & { readonly content: string | Uint8Array };

export type BaseLayers = {
  readonly layers: readonly BlobName[];
  /** The artifact to copy them from where the repository lacks them. */
  readonly source?: { readonly access: Access; readonly manifest: Digest };
};

/** The moving tag, and who may have it. */
export type Key = {
  readonly tag: string;
  /** Those of the repository's tags that name newer versions of this key than this one, the newest first. */
  readonly newerTags: (tags: readonly string[]) => readonly string[];
  /** Whether that manifest is a newer version of this key, and one that may have it. */
  readonly isNewer: (manifest: Manifest) => boolean;
};

export type VersionPush = {
  /** The Cache's repository, with credentials that may write to it. */
  readonly access: Access;
  readonly base: BaseLayers;
  readonly layers: readonly OwnBlob[];
  readonly config: Uint8Array;
  readonly manifest: { readonly bytes: Uint8Array; readonly mediaType: string };
  /** Names this version for good. */
  readonly tag: string;
  /** Whether that manifest is this same version, packed otherwise by an earlier call. */
  readonly isSame: (manifest: Manifest) => boolean;
  /** Absent for a version that must not have its key. */
  readonly key?: Key;
};

/** `superseded`: a newer version has the key. `previous` is what had it before, and its version where it is one. */
export type KeyOutcome =
  | { readonly state: "moved"; readonly previous?: Digest; readonly previousVersion?: Version }
  | { readonly state: "superseded"; readonly by: Digest }
  | { readonly state: "left" };

/** `tags`: those of the repository once the key was moved, where it lets them be listed and anybody asked. */
export type KeyMove = { readonly key: KeyOutcome; readonly tags?: readonly string[] };

export type VersionPushed = KeyMove & {
  readonly kind: "pushed";
  readonly digest: Digest;
  readonly sentBytes: number;
};

/** `base-missing`: nothing was tagged; the layers named must come from this node, under a new manifest. */
export type PushOutcome =
  | VersionPushed
  | { readonly kind: "base-missing"; readonly layers: readonly Digest[]; readonly why: string };

/** What has just been done, and stands. */
export type PushStep =
  | "base"
  | "blob"
  | "config"
  | "manifest"
  | "checked"
  | "version-tag"
  | "key-tag"
  | "key-checked";

/** What the registry has of this node's blobs so far. */
export type Pushed = { readonly doneBytes: number; readonly totalBytes: number };

export type Watch = {
  readonly signal: AbortSignal;
  /** What it throws stops the push there. */
  readonly onStep?: (step: PushStep) => Promise<void>;
  readonly onProgress?: (pushed: Pushed) => void;
  /** Waited for before anything is tagged. */
  readonly beforeTag?: () => Promise<void>;
};

export const nameOf = ({ host, repository }: Access) => `${host}/${repository}`;
