// From a manifest to the Layers that a Tree of it needs.

import { planArtifact } from "./artifact-plan.ts";
import { isWrittenLayer } from "./cache-manifest.ts";
import { Failure } from "./failure.ts";
import { diffIdsOf, hasImageConfig, planImage } from "./image-plan.ts";
import type { TreePlan } from "./layer-plan.ts";
import type { Descriptor, Manifest } from "./manifest.ts";

/** What is taken of an Artifact. */
export type Selection = {
  /** Only layers of these media types. */
  readonly mediaTypes?: readonly string[];
  /** Whether archives keep setuid and setgid bits; what claims wrote always does, raw files never do. */
  readonly keepSetuid?: boolean;
  /** How messages call the Artifact. */
  readonly artifact?: string;
};

/**
 * The Layers of what `selection` takes of `manifest`, bottom first, its shape told by its annotations and config,
 * never by media type alone. `config` is needed where hasImageConfig().
 * Throws `not-found` where nothing is taken, `unsupported` for what cannot be unpacked here, `invalid` for what cannot be.
 */
export function planTree(
  manifest: Manifest,
  config: Uint8Array | undefined,
  selection: Selection = {},
): TreePlan {
  const { mediaTypes, keepSetuid = false, artifact = "the artifact" } = selection;
  if (hasImageConfig(manifest) && config === undefined) throw new TypeError("planTree() needs the config");
  const diffIds =
    config === undefined ? undefined : hasImageConfig(manifest) ? diffIdsOf(manifest, config) : undefined;
  const taken = manifest.layers
    .map((blob, index) => ({ blob, diffId: diffIds?.[index] }))
    .filter(({ blob }) => mediaTypes === undefined || mediaTypes.includes(blob.mediaType));
  for (const { blob } of taken) refuseUnreadable(blob, artifact);
  const image = taken.flatMap(({ blob, diffId }) =>
    diffId === undefined ? [] : [{ blob, diffId, keepSetuid: keepSetuid || isWrittenLayer(manifest, blob) }],
  );
  const plan =
    diffIds === undefined
      ? planArtifact(
          taken.map(({ blob }) => blob),
          keepSetuid,
        )
      : { layers: planImage(image), notes: [] };
  if (plan.layers.length === 0) throw new Failure("not-found", emptiness(manifest, mediaTypes, artifact));
  return plan;
}

function emptiness(manifest: Manifest, wanted: readonly string[] | undefined, artifact: string): string {
  const types = [...new Set(manifest.layers.map(({ mediaType }) => mediaType))];
  if (wanted === undefined || types.length === 0) {
    return `Cannot mount ${artifact}: it holds no files${manifest.artifactType === undefined ? "" : ` (its type is "${manifest.artifactType}")`}`;
  }
  return `Cannot take layers of the media type ${wanted.map((type) => `"${type}"`).join(" or ")} from ${artifact}: its layers are ${types.slice(0, 32).join(", ")}`;
}

function refuseUnreadable(layer: Descriptor, artifact: string): void {
  const refuse = (why: string) =>
    new Failure("unsupported", `Cannot bring the layer ${layer.digest} of ${artifact}: ${why}`);
  if (/\+encrypted(?:$|[+;])/.test(layer.mediaType)) {
    throw refuse(
      `it is encrypted ("${layer.mediaType}"); push it in the clear to a registry that keeps it private`,
    );
  }
  if (layer.urls !== undefined || /\.(?:foreign|nondistributable)\./.test(layer.mediaType)) {
    throw refuse(
      `it is a foreign layer ("${layer.mediaType}") that lies outside the registry; push it as an ordinary one`,
    );
  }
}
