// An image as Layers: archives that stack, in the order of its config.
import type { Digest } from "./digest.ts";
import { Failure } from "./failure.ts";
import { Fields, parseFields, type Refuse } from "./fields.ts";
import { imageLayerId } from "./layer-id.ts";
import type { Compression, LayerPlan } from "./layer-plan.ts";
import type { Descriptor, Manifest } from "./manifest.ts";

const CONFIG_MEDIA_TYPES = [
  "application/vnd.oci.image.config.v1+json",
  "application/vnd.docker.container.image.v1+json",
];

const LAYER_COMPRESSIONS: ReadonlyMap<string, Compression> = new Map([
  ["application/vnd.oci.image.layer.v1.tar", "none"],
  ["application/vnd.oci.image.layer.v1.tar+gzip", "gzip"],
  ["application/vnd.oci.image.layer.v1.tar+zstd", "zstd"],
  ["application/vnd.docker.image.rootfs.diff.tar", "none"],
  ["application/vnd.docker.image.rootfs.diff.tar.gzip", "gzip"],
  ["application/vnd.docker.image.rootfs.diff.tar.zstd", "zstd"],
]);

/** Whether the config is needed to tell what `manifest` is: planTree() then wants its bytes. */
export function hasImageConfig(manifest: Manifest): boolean {
  return CONFIG_MEDIA_TYPES.includes(manifest.config.mediaType);
}

/**
 * What the uncompressed layers of `manifest` have for digests, where it is an image: its config says so and its
 * layers are archives. Others carry an image's config for form's sake (WebAssembly, or none of it filled in).
 * Throws `corrupt` for a config that is no JSON, `invalid` where it and the layers do not go together.
 */
export function diffIdsOf(manifest: Manifest, config: Uint8Array): readonly Digest[] | undefined {
  const { digest } = manifest.config;
  const refuse: Refuse = (why, reason = "invalid") =>
    new Failure(reason, `Cannot read the image config ${digest}: ${why}; push the image again`);
  const names = parseFields(config, refuse).optionalObject("rootfs")?.texts("diff_ids") ?? [];
  if (names.length === 0 || !manifest.layers.some(({ mediaType }) => LAYER_COMPRESSIONS.has(mediaType))) {
    return undefined;
  }
  if (names.length !== manifest.layers.length) {
    throw refuse(`it names ${names.length} layers, and the manifest has ${manifest.layers.length}`);
  }
  return names.map((name) => new Fields({ diff_id: name }, "rootfs", refuse).digest("diff_id"));
}

/** The Layers of an image, bottom first. Throws `unsupported` for a layer that is no image layer. */
export function planImage(
  layers: ReadonlyArray<{
    readonly blob: Descriptor;
    readonly diffId: Digest;
    readonly keepSetuid: boolean;
  }>,
): readonly LayerPlan[] {
  const plans: LayerPlan[] = [];
  for (const { blob, diffId, keepSetuid } of layers) {
    const compression = LAYER_COMPRESSIONS.get(blob.mediaType);
    if (compression === undefined) {
      throw new Failure(
        "unsupported",
        `Cannot unpack the image layer ${blob.digest}: its media type "${blob.mediaType}" is not one of ${[...LAYER_COMPRESSIONS.keys()].join(", ")}`,
      );
    }
    const id = imageLayerId(plans.at(-1)?.id, { blob: blob.digest, compression, diffId, keepSetuid });
    plans.push({ kind: "image", id, blob, compression, diffId, keepSetuid });
  }
  return plans;
}
