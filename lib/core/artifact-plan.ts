// An artifact that is no image as Layers: its files, and each directory that was packed into an archive.
import { type Digest, hexOf, parseDigest } from "./digest.ts";
import { fileAttributesOf } from "./file-attributes.ts";
import { archiveLayerId, filesLayerId } from "./layer-id.ts";
import type { Compression, FilePlan, LayerPlan, TreePlan } from "./layer-plan.ts";
import type { Descriptor } from "./manifest.ts";
import { parseTitle, refuseConflicts } from "./title.ts";

const TITLE = "org.opencontainers.image.title";
/** What ORAS puts on a directory, which it always packs as tar+gzip whatever the media type says. */
const UNPACK = "io.deis.oras.content.unpack";
const UNPACKED_DIGEST = "io.deis.oras.content.digest";
/** ModelPack's title, and what it was before the CNCF had it. */
const MODEL_PATHS = ["org.cncf.model.filepath", "org.cnai.model.filepath"];
const MODEL_ARCHIVE = /^application\/vnd\.(?:cncf|cnai)\.model\..*\.tar(?:\+(gzip|zstd))?$/;
const SIF = /^application\/vnd\.sylabs\.sif\.layer\./;
/** What stands for "no files" in an artifact that is only a manifest. */
const EMPTY = "application/vnd.oci.empty.v1+json";

type Archive = {
  readonly blob: Descriptor;
  readonly title: string;
  readonly root: string;
  readonly compression: Compression;
  readonly diffId?: Digest;
};
type Item = FilePlan | Archive;

const isArchive = (item: Item): item is Archive => "compression" in item;
const isFile = (item: Item): item is FilePlan => !isArchive(item);

/**
 * The Layers of titled files and directories, bottom first: files beneath, so that a directory's own archive decides
 * what the directory is like. Throws `invalid` for a title that cannot be, or be twice.
 */
export function planArtifact(layers: readonly Descriptor[], keepSetuid: boolean): TreePlan {
  const kept = withoutRepeats(layers);
  const nameOf = (layer: Descriptor) =>
    kept.length === 1 && SIF.test(layer.mediaType) ? "image.sif" : untitledName(layer);
  const items = kept.map((layer) => toItem(layer, titleOf(layer) ?? nameOf(layer)));
  const files = items.filter(isFile);
  const archives = items.filter(isArchive);
  refuseConflicts(
    files.map(({ path }) => path),
    archives.map(({ title }) => title),
  );
  const filesLayers: readonly LayerPlan[] =
    files.length === 0 ? [] : [{ kind: "files", id: filesLayerId(files), files }];
  const untitled = kept.filter((layer) => titleOf(layer) === undefined).map(nameOf);
  return {
    layers: [...filesLayers, ...archives.map((archive) => toLayer(archive, keepSetuid))],
    notes: untitled.length === 0 ? [] : [formatUntitled(untitled)],
  };
}

/** Untitled layers are named by what they hold, so that the same one twice is one file. */
function withoutRepeats(layers: readonly Descriptor[]): readonly Descriptor[] {
  const seen = new Set<string>();
  return layers.filter((layer) => {
    if (titleOf(layer) !== undefined) return true;
    const name = untitledName(layer);
    return layer.mediaType !== EMPTY && !seen.has(name) && seen.add(name);
  });
}

function formatUntitled(names: readonly string[]): string {
  const [first, ...others] = names;
  return others.length === 0
    ? `The artifact's layer without a title is the file "${first}"`
    : `The artifact's ${names.length} layers without titles are files named by media type and digest, such as "${first}"`;
}

function toItem(layer: Descriptor, title: string): Item {
  const isModel = modelPathOf(layer) !== undefined;
  const model = isModel ? MODEL_ARCHIVE.exec(layer.mediaType) : null;
  if (model !== null) {
    // ModelPack's archives carry whole paths: the annotation only tells what was packed.
    const compression = (model[1] ?? "none") as Compression;
    return { blob: layer, title: parseTitle(title, "directory"), root: "", compression };
  }
  if (!isModel && titleOf(layer) !== undefined && layer.annotations.get(UNPACK) === "true") {
    return toDirectory(layer, parseTitle(title, "directory"));
  }
  return { path: parseTitle(title, "file"), blob: layer, ...fileAttributesOf(layer) };
}

function toDirectory(blob: Descriptor, path: string): Archive {
  const unpacked = blob.annotations.get(UNPACKED_DIGEST);
  const diffId = unpacked === undefined ? undefined : parseDigest(unpacked);
  const compression = diffId === blob.digest ? "none" : /zstd?$/.test(blob.mediaType) ? "zstd" : "gzip";
  return { blob, title: path, root: path, compression, ...(diffId === undefined ? {} : { diffId }) };
}

function toLayer(archive: Archive, keepSetuid: boolean): LayerPlan {
  const { blob, root, compression, diffId } = archive;
  const stated = diffId === undefined ? {} : { diffId };
  const id = archiveLayerId(root, { blob: blob.digest, compression, ...stated, keepSetuid });
  return { kind: "archive", id, blob, compression, ...stated, root, keepSetuid };
}

const modelPathOf = (layer: Descriptor): string | undefined =>
  MODEL_PATHS.map((name) => layer.annotations.get(name)).find((path) => path !== undefined);

const titleOf = (layer: Descriptor): string | undefined => modelPathOf(layer) ?? layer.annotations.get(TITLE);

/** `vnd.cncf.helm.chart.content.v1.tar+gzip-` and the digest. */
function untitledName(layer: Descriptor): string {
  const type = layer.mediaType.replace(/^application\//, "").replaceAll(/[^A-Za-z0-9.+_-]/g, "_");
  return `${type.slice(0, 128)}-${hexOf(layer.digest)}`;
}
