// A Layer as this node keeps it: what `layer.json` says of the directory beside it.
import type { Unsettled } from "../archive/unpacker.ts";
import type { SharedBytes } from "../core/collection.ts";
import { type Digest, parseDigest } from "../core/digest.ts";

export type StoredBlob = { readonly digest: Digest; readonly size: number };

export type StoredFile = StoredBlob & {
  readonly path: string;
  readonly mode: number;
  readonly mtime: number;
};

export type Layer = {
  readonly id: Digest;
  readonly kind: "image" | "archive" | "files" | "assembled" | "claim" | "grouped";
  /** The blobs it was made of: what a registry must send again before it counts as a source. */
  readonly blobs: readonly StoredBlob[];
  /** Of a `files` Layer: where each blob lies, so that others can link to it. */
  readonly files: readonly StoredFile[];
  /** What it needed from the layers beneath when it was unpacked, so that it can be settled over others. */
  readonly unsettled?: Unsettled;
  readonly ownBytes: number;
  /** Bytes that several Layers may share through links; counted once, whoever has them. */
  readonly shared: readonly SharedBytes[];
  readonly inodes: number;
  /** Of what a claim wrote: how much of files its base shows that this hides. */
  readonly replacedBytes?: number;
  /** The boot it was made under, until a syncfs has passed; absent once it is safe from power loss. */
  readonly boot?: string;
  /** The registries these bytes came from. */
  readonly sources: readonly string[];
};

/** The Layer that `text` records, or undefined when it is none: a torn file after a power loss is no content. */
export function parseLayer(text: string, id: Digest): Layer | undefined {
  try {
    const layer = JSON.parse(text) as Layer & { version: number };
    if (layer.version !== 1 || layer.id !== id) return undefined;
    for (const blob of [...layer.blobs, ...layer.files]) parseDigest(blob.digest);
    const { version: _, ...rest } = layer;
    return Array.isArray(layer.sources) && Array.isArray(layer.shared) ? rest : undefined;
  } catch {
    return undefined;
  }
}

/** What the Layer takes on disk, were it alone. */
export function bytesOfLayer({ ownBytes, shared }: Layer): number {
  return shared.reduce((sum, { bytes }) => sum + bytes, ownBytes);
}

export function formatLayer(layer: Layer): string {
  return `${JSON.stringify({ version: 1, ...layer })}\n`;
}
