// Registries in memory, as literals: who may read what, who lies, and how often each was asked for what.
import { writeSync } from "node:fs";
import { type Access } from "../../core/access.ts";
import { type Digest, digestOf } from "../../core/digest.ts";
import { Failure } from "../../core/failure.ts";
import type { Reference } from "../../core/reference.ts";
import type { BlobSink, Reader, Source, WantedBlob } from "../../registry/reader.ts";

const MANIFEST = "application/vnd.oci.image.manifest.v1+json";
export const INDEX = "application/vnd.oci.image.index.v1+json";

export type Entry = { readonly bytes: Uint8Array; readonly mediaType: string };

export type Repository = {
  /** The passwords that may read it; none: anybody may. */
  readonly passwords?: readonly string[];
  readonly tags: Map<string, Digest>;
  readonly manifests: Map<Digest, Entry>;
  readonly blobs: Map<Digest, Uint8Array>;
};

export type Host = {
  readonly repositories: Map<string, Repository>;
  /** Answers 200 to whatever it is asked whether it has it, as a pod's own registry may. */
  readonly claimsAll?: boolean;
  isDown: boolean;
};

/** Waited for before each piece of a blob is sent; what it throws ends the request. */
export type Gate = (digest: Digest, offset: number) => Promise<void>;

export class RegistryTwin implements Reader {
  readonly hosts = new Map<string, Host>();
  /** Asked before any registry, for all of them, by everybody. */
  readonly mirror = new Map<Digest, Uint8Array>();
  readonly requests: string[] = [];
  readonly sentBytes = new Map<string, number>();
  /** By host. */
  readonly troubles = new Map<string, string>();
  pieceBytes = 64 * 1024;
  gate: Gate = () => Promise.resolve();

  addHost(name: string, options: { readonly claimsAll?: boolean } = {}): Host {
    const host = { repositories: new Map(), isDown: false, ...options };
    this.hosts.set(name, host);
    return host;
  }

  count(what: string): number {
    return this.requests.filter((request) => request.startsWith(what)).length;
  }

  async resolve(access: Access, reference: Reference, signal: AbortSignal) {
    const { digest, tag } = reference;
    this.requests.push(`resolve ${access.host}/${access.repository}:${tag}`);
    const repository = this.#enter(access, signal);
    const found = digest ?? repository.tags.get(tag ?? "latest");
    const entry = found === undefined ? undefined : repository.manifests.get(found);
    if (found === undefined || entry === undefined) throw notFound(access, tag ?? "");
    return { digest: found, mediaType: entry.mediaType, size: entry.bytes.length, source: upstream(access) };
  }

  async fetchTag(access: Access, reference: Reference, signal: AbortSignal) {
    const { digest, source } = await this.resolve(access, reference, signal);
    return { ...(await this.fetchManifest(access, digest, signal)), digest, source };
  }

  async fetchManifest(access: Access, digest: Digest, signal: AbortSignal) {
    this.requests.push(`manifest ${access.host}/${access.repository} ${digest}`);
    const entry = this.#enter(access, signal).manifests.get(digest);
    if (entry === undefined) throw notFound(access, digest);
    return { ...entry, source: upstream(access) };
  }

  async fetchConfig(access: Access, digest: Digest, signal: AbortSignal) {
    this.requests.push(`blob ${access.host}/${access.repository} ${digest}`);
    const sent = [this.mirror.get(digest), this.#enter(access, signal).blobs.get(digest)];
    const bytes = sent.find((one) => one !== undefined && digestOf(one) === digest);
    if (bytes === undefined) throw notFound(access, digest);
    return bytes;
  }

  warm(): void {}

  async prove(access: Access, digest: Digest, signal: AbortSignal): Promise<void> {
    this.requests.push(`prove ${access.host}/${access.repository} ${digest}`);
    if (this.hosts.get(access.host)?.claimsAll === true) return;
    if (!this.#enter(access, signal).manifests.has(digest)) throw notFound(access, digest);
  }

  async fetchBlob(access: Access, blob: WantedBlob, sink: BlobSink, signal: AbortSignal): Promise<void> {
    this.requests.push(`blob ${access.host}/${access.repository} ${blob.digest}`);
    const mirrored = blob.upstreamOnly === true ? undefined : this.mirror.get(blob.digest);
    const bytes = mirrored ?? this.#enter(access, signal).blobs.get(blob.digest);
    if (bytes === undefined) throw notFound(access, blob.digest);
    const source: Source =
      mirrored === undefined ? upstream(access) : { kind: "mirror", host: "mirror.example" };
    for (const { start, end: last } of sink.missing()) {
      for (let at = start; at < last; at += this.pieceBytes) {
        await this.gate(blob.digest, at);
        signal.throwIfAborted();
        const piece = bytes.subarray(at, Math.min(last, at + this.pieceBytes));
        put(sink.into, at, piece);
        const end = at + piece.length;
        const isHashed = sink.hashes === true && start === 0 && last === blob.size;
        await sink.wrote({ start: at, end }, source, isHashed ? digestOf(bytes) : undefined);
        this.sentBytes.set(blob.digest, (this.sentBytes.get(blob.digest) ?? 0) + piece.length);
      }
    }
  }

  troubleOf({ host }: Access): string | undefined {
    return this.troubles.get(host);
  }

  async [Symbol.asyncDispose](): Promise<void> {}

  #enter(access: Access, signal: AbortSignal): Repository {
    signal.throwIfAborted();
    const host = this.hosts.get(access.host);
    if (host === undefined || host.isDown) throw new Failure("unavailable", `${access.host} does not answer`);
    const repository = host.repositories.get(access.repository);
    if (repository === undefined) throw notFound(access, "");
    const password = access.credentials?.kind === "basic" ? access.credentials.password : undefined;
    if (repository.passwords !== undefined && !repository.passwords.includes(password ?? "")) {
      throw new Failure("denied", `${access.host} answered 401 with ${access.origin ?? "no credentials"}`);
    }
    return repository;
  }
}

function put(into: BlobSink["into"], offset: number, bytes: Uint8Array): void {
  if (typeof into === "number") writeSync(into, bytes, 0, bytes.length, offset);
  else Buffer.from(into).set(bytes, offset);
}

const upstream = ({ host }: Access): Source => ({ kind: "upstream", host });

const notFound = ({ host, repository }: Access, what: string) =>
  new Failure("not-found", `${host}/${repository} has no ${what}`);

export function addRepository(host: Host, name: string, passwords?: readonly string[]): Repository {
  const repository = {
    tags: new Map(),
    manifests: new Map(),
    blobs: new Map(),
    ...(passwords === undefined ? {} : { passwords }),
  };
  host.repositories.set(name, repository);
  return repository;
}

function addBlob({ blobs }: Repository, bytes: Uint8Array): { digest: Digest; size: number } {
  const digest = digestOf(bytes);
  blobs.set(digest, bytes);
  return { digest, size: bytes.length };
}

export function addManifest({ manifests }: Repository, value: object, mediaType = MANIFEST): Digest {
  const bytes = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType, ...value }));
  const digest = digestOf(bytes);
  manifests.set(digest, { bytes, mediaType });
  return digest;
}

/** An artifact of titled files, some with a mode of their own, such as `0755`. */
export function addFiles(
  repository: Repository,
  files: Readonly<Record<string, string | Uint8Array>>,
  modes: Readonly<Record<string, string>> = {},
): Digest {
  const layers = Object.entries(files).map(([title, content]) => ({
    mediaType: "application/octet-stream",
    ...addBlob(repository, Buffer.from(content)),
    annotations: {
      "org.opencontainers.image.title": title,
      ...(modes[title] === undefined ? {} : { "dev.larder.file.mode": modes[title] }),
    },
  }));
  const config = {
    mediaType: "application/vnd.oci.empty.v1+json",
    ...addBlob(repository, Buffer.from("{}")),
  };
  return addManifest(repository, { artifactType: "application/vnd.test", config, layers });
}

/** An image of uncompressed layers. */
export function addImage(repository: Repository, layers: readonly Uint8Array[]): Digest {
  const diffIds = layers.map((layer) => digestOf(layer));
  const config = Buffer.from(
    JSON.stringify({ os: "linux", architecture: "amd64", rootfs: { type: "layers", diff_ids: diffIds } }),
  );
  return addManifest(repository, {
    config: { mediaType: "application/vnd.oci.image.config.v1+json", ...addBlob(repository, config) },
    layers: layers.map((layer) => ({
      mediaType: "application/vnd.oci.image.layer.v1.tar",
      ...addBlob(repository, layer),
    })),
  });
}
