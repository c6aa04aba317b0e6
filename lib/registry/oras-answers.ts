// What the ORAS CLI prints when it succeeds, as values.
import { type Digest, parseDigest } from "../core/digest.ts";
import type { Descriptor } from "../core/manifest.ts";

type DescriptorJson = {
  readonly mediaType: string;
  readonly digest: string;
  readonly size: number;
  readonly artifactType?: string;
  readonly annotations?: Readonly<Record<string, string>>;
};

/** A file that `pull` wrote. */
export type PulledFile = { readonly path: string; readonly descriptor: Descriptor };

const parse = (bytes: Uint8Array): unknown => JSON.parse(Buffer.from(bytes).toString());

export function parseDescriptor(bytes: Uint8Array): Descriptor {
  return toDescriptor(parse(bytes) as DescriptorJson);
}

export function parsePulled(bytes: Uint8Array): {
  readonly digest: Digest;
  readonly files: readonly PulledFile[];
} {
  const { reference, files } = parse(bytes) as {
    readonly reference: string;
    readonly files: ReadonlyArray<DescriptorJson & { readonly path: string }> | null;
  };
  return {
    digest: parseDigest(reference.slice(reference.lastIndexOf("@") + 1)),
    files: (files ?? []).map((file) => ({ path: file.path, descriptor: toDescriptor(file) })),
  };
}

export function parseTags(bytes: Uint8Array): readonly string[] {
  return (parse(bytes) as { readonly tags: readonly string[] | null }).tags ?? [];
}

export function parseReferrers(bytes: Uint8Array): readonly Descriptor[] {
  const { referrers } = parse(bytes) as { readonly referrers?: readonly DescriptorJson[] | null };
  return (referrers ?? []).map(toDescriptor);
}

/** The digest in the last line of `cp`, or alone in that of `resolve`. */
export function parsePrintedDigest(bytes: Uint8Array): Digest {
  const text = Buffer.from(bytes).toString().trim();
  return parseDigest(text.slice(text.lastIndexOf("sha256:")));
}

function toDescriptor({ mediaType, digest, size, artifactType, annotations }: DescriptorJson): Descriptor {
  return {
    mediaType,
    digest: parseDigest(digest),
    size,
    annotations: new Map(Object.entries(annotations ?? {})),
    ...(artifactType === undefined ? {} : { artifactType }),
  };
}
