// The artifacts that are measured with: what each is made of, and what must be found where it was brought.
import { makePools, noise, type Pools } from "./content.ts";
import type { Descriptor, Layout, WrittenLayer } from "./layout.ts";
import { tarOf } from "./tree.ts";

export type Shape = {
  /** Of all files, where it is in place. */
  readonly files: number;
  readonly bytes: number;
  readonly write: (layout: Layout) => Promise<void>;
};

const MIB = 1 << 20;
const GZIP = "application/vnd.oci.image.layer.v1.tar+gzip";
const ZSTD = "application/vnd.oci.image.layer.v1.tar+zstd";
const EMPTY = "application/vnd.oci.empty.v1+json";
const WEIGHT = "application/vnd.cncf.model.weight.v1.raw";
const MODEL = "application/vnd.cncf.model.manifest.v1+json";
const MODEL_CONFIG = "application/vnd.cncf.model.config.v1+json";

/** Each layout has the tag `v1`; `files` has its ModelPack twin, of the same blobs, as `model`. */
export const catalogue = {
  /** P1, P10: the least that is still a model, which favours those who fetch it again each time. */
  small: model({ files: 3, bytes: 32_768 }),
  /** P2a: an image of 12 layers. */
  image: { files: 18_001, bytes: 600e6, write: writeImage },
  /** P2b: one folder of very many files. */
  tree: { files: 65_000, bytes: 1e9, write: writeTree },
  /** P2c: files of two megabytes. */
  files: { files: 200, bytes: 200 * 2 * MIB, write: writeFiles },
  /** P2r, P3: one large file. */
  raw: { files: 1, bytes: 2048 * MIB, write: writeRaw },
  /** P7: eight layers of 500 MB. */
  model: model({ files: 8, bytes: 500e6 }),
  /** P7, for a peer that writes it once for each of its 110 volumes. */
  tenth: model({ files: 8, bytes: 50e6 }),
  /** P4, P6, P11, P12: heads of caches, in three sizes. */
  cacheSmall: cache({ files: 650, bytes: 10e6 }),
  cache: cache({ files: 65_000, bytes: 1e9 }),
  cacheLarge: cache({ files: 65_000, bytes: 5e9 }),
} as const satisfies Record<string, Shape>;

export type ArtifactName = keyof typeof catalogue;

let pools: Pools | undefined;

async function writeTree(layout: Layout): Promise<void> {
  pools ??= makePools();
  const shape = { seed: 3, top: "tree", files: 65_000, bytes: 1e9 };
  const { blob, diffId } = await layout.gzipped(GZIP, tarOf(shape, pools));
  const annotations = {
    "org.opencontainers.image.title": "tree",
    "io.deis.oras.content.digest": diffId,
    "io.deis.oras.content.unpack": "true",
  };
  await writeArtifact(layout, [{ ...blob, annotations }]);
}

async function writeImage(layout: Layout): Promise<void> {
  pools ??= makePools();
  const layers = [];
  for (let seed = 1; seed <= 12; seed++) {
    // A base that is a third of it, as images are, and eleven steps upon it.
    const share = seed === 1 ? 1 / 3 : 2 / 33;
    const shape = { seed, top: "usr/lib", files: Math.round(18_000 * share), bytes: 600e6 * share };
    layers.push(await layout.gzipped(GZIP, tarOf(shape, pools)));
  }
  await writeManifest(layout, layers);
}

async function writeManifest(layout: Layout, layers: readonly WrittenLayer[]): Promise<void> {
  const architecture = process.arch === "x64" ? "amd64" : process.arch;
  const rootfs = { type: "layers", diff_ids: layers.map((layer) => layer.diffId) };
  const config = await layout.json("application/vnd.oci.image.config.v1+json", {
    os: "linux",
    architecture,
    config: {},
    rootfs,
  });
  await layout.manifest("v1", { config, layers: layers.map((layer) => layer.blob) });
}

/** An image of one layer, as a cache's base is when somebody fills it first. */
function cache(size: { readonly files: number; readonly bytes: number }): Shape {
  const write = async (layout: Layout) => {
    pools ??= makePools();
    const shape = { seed: 4, top: "node_modules", ...size };
    await writeManifest(layout, [await layout.zstd(ZSTD, tarOf(shape, pools))]);
  };
  return { ...size, write };
}

async function writeRaw(layout: Layout): Promise<void> {
  const blob = await layout.blob("application/octet-stream", noise(5, 2048 * MIB));
  await writeArtifact(layout, [titled(blob, "weights.bin")]);
}

async function writeFiles(layout: Layout): Promise<void> {
  const blobs = [];
  for (let index = 0; index < 200; index++)
    blobs.push(await layout.blob(WEIGHT, noise(100 + index, 2 * MIB)));
  await writeArtifact(
    layout,
    blobs.map((blob, index) => titled(blob, `part-${index}.bin`)),
  );
  await writeModel(layout, "model", blobs);
}

function model(size: { readonly files: number; readonly bytes: number }): Shape {
  const each = Math.floor(size.bytes / size.files);
  const write = async (layout: Layout) => {
    const blobs = [];
    for (let index = 0; index < size.files; index++)
      blobs.push(await layout.blob(WEIGHT, noise(each + index, each)));
    await writeModel(layout, "v1", blobs);
  };
  return { files: size.files, bytes: each * size.files, write };
}

async function writeArtifact(layout: Layout, layers: readonly Descriptor[]): Promise<void> {
  const config = await layout.json(EMPTY, {});
  await layout.manifest("v1", { artifactType: "application/vnd.larder.bench", config, layers });
}

async function writeModel(layout: Layout, tag: string, blobs: readonly Descriptor[]): Promise<void> {
  const config = await layout.json(MODEL_CONFIG, {
    descriptor: { name: "bench" },
    config: {},
    modelfs: {
      type: "layers",
      diffIds: blobs.map((blob) => blob.digest),
    },
  });
  const layers = blobs.map((blob, index) => ({
    ...blob,
    annotations: { "org.cncf.model.filepath": `part-${index}.bin` },
  }));
  await layout.manifest(tag, { artifactType: MODEL, config, layers });
}

function titled(blob: Descriptor, title: string): Descriptor {
  return { ...blob, annotations: { "org.opencontainers.image.title": title } };
}
