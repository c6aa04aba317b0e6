// From the digest that a Reference means to the one manifest that is taken, and its config where that is needed.
import type { Access } from "../core/access.ts";
import { type Digest, digestOf } from "../core/digest.ts";
import { Failure } from "../core/failure.ts";
import { hasImageConfig } from "../core/image-plan.ts";
import { type Descriptor, type Manifest, parseManifest } from "../core/manifest.ts";
import { pickPlatform } from "../core/pick-platform.ts";
import type { Platform } from "../core/platform.ts";
import type { BlobSink, Reader } from "../registry/reader.ts";

export type Artifact = {
  /** Of the manifest, also where an index was named. */
  readonly digest: Digest;
  readonly manifest: Manifest;
  readonly config?: Uint8Array;
};

/** Indexes within indexes: more than anybody makes on purpose. */
const maxDepth = 4;
const maxConfigBytes = 32 * 1024 * 1024;

/** Failures: the reader's, and those of parseManifest() and pickPlatform(). */
export async function readArtifact(
  reader: Reader,
  access: Access,
  wanted: { readonly digest: Digest; readonly platform: Platform },
  signal: AbortSignal,
): Promise<Artifact> {
  let { digest } = wanted;
  const seen: Digest[] = [];
  for (;;) {
    refuseNesting(access, [...seen, digest]);
    seen.push(digest);
    const { bytes, mediaType } = await reader.fetchManifest(access, digest, signal);
    const parsed = parseManifest(bytes, { digest, mediaType });
    if (parsed.kind === "manifest") {
      const config = await configOf(reader, access, parsed, signal);
      return { digest, manifest: parsed, ...(config === undefined ? {} : { config }) };
    }
    digest = pickPlatform(parsed, wanted.platform).digest;
  }
}

function refuseNesting(access: Access, path: readonly Digest[]): void {
  const refuse = (why: string) =>
    new Failure(
      "invalid",
      `Cannot read the index ${path[0]} of ${access.host}/${access.repository}: ${why}; name the digest of the manifest itself`,
    );
  if (new Set(path).size < path.length) throw refuse("it leads back to itself");
  if (path.length > maxDepth + 1) throw refuse(`indexes are nested in it more than ${maxDepth} deep`);
}

async function configOf(
  reader: Reader,
  access: Access,
  manifest: Manifest,
  signal: AbortSignal,
): Promise<Uint8Array | undefined> {
  return hasImageConfig(manifest) ? await readConfig(reader, access, manifest.config, signal) : undefined;
}

async function readConfig(
  reader: Reader,
  access: Access,
  { digest, size }: Descriptor,
  signal: AbortSignal,
): Promise<Uint8Array> {
  const refuse = (reason: "invalid" | "corrupt", why: string) =>
    new Failure(
      reason,
      `Cannot read the image config ${digest} of ${access.host}/${access.repository}: ${why}`,
    );
  if (size > maxConfigBytes) throw refuse("invalid", `it has ${size} bytes, more than ${maxConfigBytes}`);
  for (const upstreamOnly of [false, true]) {
    const sink = memorySink(size);
    await reader.fetchBlob(access, { digest, size, ...(upstreamOnly ? { upstreamOnly } : {}) }, sink, signal);
    if (digestOf(sink.bytes) === digest) return sink.bytes;
    // Only a mirror gets a second chance to have been the one that was wrong.
    if (!sink.hadMirror()) break;
  }
  throw refuse("corrupt", "the registry sent other bytes; push the image again");
}

function memorySink(
  size: number,
): BlobSink & { readonly bytes: Uint8Array; readonly hadMirror: () => boolean } {
  const into = new SharedArrayBuffer(size);
  const bytes = Buffer.from(into);
  let mirrored = false;
  return {
    size,
    into,
    bytes,
    hadMirror: () => mirrored,
    missing: () => (size === 0 ? [] : [{ start: 0, end: size }]),
    wrote: (_range, source) => {
      mirrored ||= source.kind === "mirror";
      return Promise.resolve();
    },
  };
}
