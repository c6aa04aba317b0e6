// The port through which the named registry itself, never a mirror of it, is asked what it holds.
import type { Access } from "../core/access.ts";
import type { Digest } from "../core/digest.ts";

/** `broken`: it says that it has it, and holds other than all its bytes. */
export type Held = "whole" | "none" | "broken";

export type BlobName = { readonly digest: Digest; readonly size: number };

/** A manifest as it stands under a tag or digest. */
export type Standing = { readonly digest: Digest; readonly bytes: Uint8Array; readonly mediaType: string };

/** Retried and cancelled as a Reader is. Failures: denied, unavailable, unsupported, invalid. */
export interface Upstream {
  /** Asked for its size and for its last byte: a registry may know a blob of which it lost the bytes. */
  holds(access: Access, blob: BlobName, signal: AbortSignal): Promise<Held>;
  /** What a tag or digest names there; undefined for nothing. Failures: also corrupt, for bytes of another digest. */
  standing(access: Access, name: string, signal: AbortSignal): Promise<Standing | undefined>;
}
