// OCI image layouts on disk, from which `oras cp` pushes.
import { createHash } from "node:crypto";
import { createWriteStream } from "node:fs";
import { mkdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { createGzip, createZstdCompress } from "node:zlib";

export type Descriptor = {
  readonly mediaType: string;
  readonly digest: string;
  readonly size: number;
  readonly annotations?: Readonly<Record<string, string>>;
};

/** A layer, and the digest of what it is when it is not compressed. */
export type WrittenLayer = { readonly blob: Descriptor; readonly diffId: string };

const MANIFEST = "application/vnd.oci.image.manifest.v1+json";

export class Layout {
  readonly #folder: string;
  readonly #tags: Array<Descriptor> = [];

  private constructor(folder: string) {
    this.#folder = folder;
  }

  /** Fills `folder` with what `write` makes; it appears whole or not at all. */
  static async make(folder: string, write: (layout: Layout) => Promise<void>): Promise<void> {
    const partial = `${folder}.partial`;
    await rm(partial, { recursive: true, force: true });
    await mkdir(path.join(partial, "blobs", "sha256"), { recursive: true });
    const layout = new Layout(partial);
    await write(layout);
    await layout.#close();
    await rename(partial, folder);
  }

  async blob(mediaType: string, content: Iterable<Buffer>): Promise<Descriptor> {
    return (await this.#write(mediaType, content, [])).blob;
  }

  async gzipped(mediaType: string, content: Iterable<Buffer>): Promise<WrittenLayer> {
    return await this.#write(mediaType, content, [createGzip({ level: 6, chunkSize: 1 << 18 })]);
  }

  async zstd(mediaType: string, content: Iterable<Buffer>): Promise<WrittenLayer> {
    return await this.#write(mediaType, content, [createZstdCompress({ chunkSize: 1 << 18 })]);
  }

  async json(mediaType: string, value: unknown): Promise<Descriptor> {
    return await this.blob(mediaType, [Buffer.from(JSON.stringify(value))]);
  }

  async manifest(tag: string, manifest: object): Promise<void> {
    const blob = await this.json(MANIFEST, { schemaVersion: 2, mediaType: MANIFEST, ...manifest });
    this.#tags.push({ ...blob, annotations: { "org.opencontainers.image.ref.name": tag } });
  }

  async #write(
    mediaType: string,
    content: Iterable<Buffer>,
    through: readonly NodeJS.ReadWriteStream[],
  ): Promise<WrittenLayer> {
    const plain = createHash("sha256");
    const stored = createHash("sha256");
    let size = 0;
    const file = path.join(this.#folder, "writing");
    const count = async function* (chunks: AsyncIterable<Buffer>) {
      for await (const chunk of chunks) {
        stored.update(chunk);
        size += chunk.length;
        yield chunk;
      }
    };
    const source = Readable.from(tee(content, plain), { objectMode: false });
    await pipeline([source, ...through, count, createWriteStream(file)]);
    const hex = stored.digest("hex");
    await rename(file, path.join(this.#folder, "blobs", "sha256", hex));
    return {
      blob: { mediaType, digest: `sha256:${hex}`, size },
      diffId: `sha256:${plain.digest("hex")}`,
    };
  }

  async #close(): Promise<void> {
    const index = { schemaVersion: 2, manifests: this.#tags };
    await writeFile(path.join(this.#folder, "oci-layout"), JSON.stringify({ imageLayoutVersion: "1.0.0" }));
    await writeFile(path.join(this.#folder, "index.json"), JSON.stringify(index));
  }
}

/** The files of the layers that a layout's first manifest names. */
export async function layersIn(folder: string): Promise<readonly string[]> {
  const fileOf = (digest: string) => path.join(folder, "blobs", ...digest.split(":"));
  const read = async (file: string) => JSON.parse(await readFile(file, "utf8")) as unknown;
  const index = (await read(path.join(folder, "index.json"))) as { manifests: Descriptor[] };
  const manifest = (await read(fileOf(index.manifests[0]?.digest ?? ""))) as { layers: Descriptor[] };
  return manifest.layers.map(({ digest }) => fileOf(digest));
}

function* tee(content: Iterable<Buffer>, hash: { update(chunk: Buffer): unknown }): Generator<Buffer> {
  for (const chunk of content) {
    hash.update(chunk);
    yield chunk;
  }
}
