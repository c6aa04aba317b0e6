// The writing side of the registry double: uploads, mounts, manifests, tags, deletions, and how it spoils each.
import { type Digest, digestOf } from "../lib/core/digest.ts";
import { type Asked, json, type Reply } from "./wire.ts";

type Stored = {
  readonly blobs: Map<Digest, Uint8Array>;
  readonly manifests: Map<string, { readonly bytes: Uint8Array; readonly mediaType: string }>;
};

type Refusal = readonly [status: number, code: string, message: string];

export class PushSide {
  /** What becomes of a blob whose upload is confirmed with 201; undefined: it is lost. */
  keeps: (bytes: Uint8Array) => Uint8Array | undefined = (bytes) => bytes;
  /** Whether a blob that is here is mounted (201), or has to be sent after all (202). */
  mounts = true;
  mostPatchBytes = Number.POSITIVE_INFINITY;
  /** How it refuses to move a tag; undefined: it moves them. */
  immutable: Refusal | undefined;
  /** How it refuses every upload; undefined: it takes them. */
  refuses: Refusal | undefined;
  deletes = true;
  /** Called with each tag that is set, before it is. */
  beforeTag: (tag: string) => void = () => {};
  readonly #stored: Stored;
  readonly #uploads = new Map<string, Buffer>();
  #started = 0;

  constructor(stored: Stored) {
    this.#stored = stored;
  }

  /** What a tag points at. */
  digestOf(tag: string): Digest | undefined {
    const found = this.#stored.manifests.get(tag);
    return found === undefined ? undefined : digestOf(found.bytes);
  }

  /** What a tag points at, as it was put. Throws where it points at nothing. */
  manifestOf(tag: string): { readonly bytes: Uint8Array; readonly mediaType: string } {
    const found = this.#stored.manifests.get(tag);
    if (found === undefined) throw new Error(`nothing is tagged "${tag}"`);
    return found;
  }

  /** The layers of what a tag points at. */
  layersOf(tag: string): readonly Digest[] {
    const text = this.#stored.manifests.get(tag)?.bytes;
    const manifest = JSON.parse(Buffer.from(text ?? "{}").toString()) as {
      readonly layers?: ReadonlyArray<{ readonly digest: Digest }>;
    };
    return (manifest.layers ?? []).map(({ digest }) => digest);
  }

  tags(): string[] {
    return [...this.#stored.manifests.keys()].filter((name) => !name.includes(":")).toSorted();
  }

  lose(digest: Digest): void {
    this.#stored.blobs.delete(digest);
    this.#stored.manifests.delete(digest);
  }

  /** Undefined for what does not write. */
  reply(asked: Asked, url: URL, body: Buffer): Reply | undefined {
    const [, repository, what] =
      /^\/v2\/(.+)\/((?:manifests|blobs)\/[^/]+\/?[^/]*|tags\/list)$/.exec(url.pathname) ?? [];
    if (repository === undefined || what === undefined) return undefined;
    if (what === "tags/list") return json(200, {}, { name: repository, tags: this.tags() });
    const [kind, name = ""] = what.split("/");
    if (asked.method === "DELETE") return this.#delete(kind ?? "", name);
    if (asked.method === "GET" || asked.method === "HEAD") return undefined;
    if (kind === "manifests") return this.#putManifest(name, asked, body);
    return this.#upload(asked, url, body);
  }

  #upload(asked: Asked, url: URL, body: Buffer): Reply {
    if (this.refuses !== undefined) return refused(this.refuses);
    if (asked.method === "POST") {
      const mounted = url.searchParams.get("mount") as Digest | null;
      const isHere = this.mounts && mounted !== null && this.#stored.blobs.has(mounted);
      if (isHere) return json(201, { location: `${url.pathname}${mounted}` });
      this.#started += 1;
      return json(202, { location: `${url.pathname}${this.#started}`, range: "0-0" });
    }
    if (asked.method === "PATCH" && body.length > this.mostPatchBytes)
      return refused([413, "SIZE_INVALID", ""]);
    const whole = Buffer.concat([this.#uploads.get(url.pathname) ?? Buffer.alloc(0), body]);
    if (asked.method === "PATCH") {
      this.#uploads.set(url.pathname, whole);
      return json(202, { location: url.pathname, range: `0-${whole.length - 1}` });
    }
    this.#uploads.delete(url.pathname);
    const digest = url.searchParams.get("digest") as Digest;
    if (digestOf(whole) !== digest) return refused([400, "DIGEST_INVALID", "another digest"]);
    const kept = this.keeps(whole);
    if (kept !== undefined) this.#stored.blobs.set(digest, kept);
    return json(201, { location: `${url.pathname}/${digest}`, "docker-content-digest": digest });
  }

  #putManifest(name: string, asked: Asked, bytes: Buffer): Reply {
    const { blobs, manifests } = this.#stored;
    const { config, layers = [] } = JSON.parse(bytes.toString()) as {
      readonly config?: { readonly digest: Digest };
      readonly layers?: ReadonlyArray<{ readonly digest: Digest }>;
    };
    const named = [...layers, ...(config === undefined ? [] : [config])];
    const unknown = named.find(({ digest }) => !blobs.has(digest));
    if (unknown !== undefined) return refused([404, "MANIFEST_BLOB_UNKNOWN", unknown.digest]);
    const isTag = !name.includes(":");
    if (isTag) this.beforeTag(name);
    if (isTag && this.immutable !== undefined && manifests.has(name)) return refused(this.immutable);
    const mediaType = String(asked.headers["content-type"]);
    for (const key of [name, digestOf(bytes)]) manifests.set(key, { bytes, mediaType });
    return json(201, { "docker-content-digest": digestOf(bytes) });
  }

  /** A manifest takes its tags along. */
  #delete(kind: string, name: string): Reply {
    const { blobs, manifests } = this.#stored;
    if (!this.deletes) return refused([405, "UNSUPPORTED", "The operation is unsupported."]);
    if (kind === "blobs") return json(blobs.delete(name as Digest) ? 202 : 404, {});
    const gone = [...manifests].filter(([key, { bytes }]) => key === name || digestOf(bytes) === name);
    for (const [key] of gone) manifests.delete(key);
    return json(gone.length > 0 ? 202 : 404, {});
  }
}

function refused([status, code, message]: Refusal): Reply {
  return json(status, {}, { errors: code === "" ? [] : [{ code, message }] });
}
