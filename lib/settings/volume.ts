// What a pod says about an inline volume: its attributes, under our names or those of csi-driver-oras.
import { z } from "zod";
import { Failure } from "../core/failure.ts";
import { parseReference } from "../core/reference.ts";
import {
  type Alias,
  type ArtifactSettings,
  artifactAliases,
  artifactAttributes,
  refusedTransport,
  toArtifactSettings,
} from "./artifact.ts";
import { nameAttributes } from "./names.ts";
import { describeProblems, parsed } from "./problems.ts";
import type { RegistrySettings } from "./registries.ts";
import { type ScratchSettings, scratchAttributes, toScratch } from "./scratch.ts";

export const volumeAttributes = z.strictObject({
  reference: parsed(parseReference).meta({
    description:
      "The artifact: `host/repository:tag` or `host/repository@sha256:…`; alias `oras.artifact.reference`.",
  }),
  ...artifactAttributes,
  ...scratchAttributes,
});

export type VolumeSettings = Pick<z.output<typeof volumeAttributes>, "reference" | "layout"> &
  ArtifactSettings & { readonly scratch?: ScratchSettings };

const NAMES = {
  known: Object.keys(volumeAttributes.shape),
  aliases: new Map<string, Alias>([["oras.artifact.reference", { name: "reference" }], ...artifactAliases]),
};

type Node = {
  readonly registries: readonly RegistrySettings[];
  readonly inline: { readonly maxSizeBytes: number };
};

/**
 * The settings that a volume's attributes spell; keys of Kubernetes' own are passed over.
 * Throws `invalid` with every problem at once.
 */
export function parseVolume(attributes: ReadonlyMap<string, string>, node: Node): VolumeSettings {
  const problems: string[] = [];
  const input = Object.fromEntries(nameAttributes(attributes, NAMES, problems));
  const result = volumeAttributes.safeParse(input);
  if (!result.success) problems.push(...describeProblems(result.error, volumeAttributes, input));
  else problems.push(...refusedTransport(result.data, result.data.reference.host, node.registries));
  const scratch = result.success ? toScratch(result.data, node.inline.maxSizeBytes, problems) : undefined;
  if (!result.success || problems.length > 0) {
    throw new Failure("invalid", `Cannot use the volume's attributes: ${problems.join("; ")}`);
  }
  const { reference, layout } = result.data;
  return {
    reference,
    layout,
    ...toArtifactSettings(result.data),
    ...(scratch === undefined ? {} : { scratch }),
  };
}
