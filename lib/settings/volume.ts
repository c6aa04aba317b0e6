// What a pod says about an inline volume: its attributes, under our names or those of csi-driver-oras.
import { z } from "zod";
import { ownAttributes } from "../core/attributes.ts";
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
});

const allAttributes = volumeAttributes.extend(scratchAttributes);

export type VolumeSettings = Pick<z.output<typeof volumeAttributes>, "reference" | "layout"> &
  ArtifactSettings & { readonly scratch?: ScratchSettings };

/** Where inline volumes cannot be written to; what they are when nothing is said may be said. */
const LATER: ReadonlyMap<string, string | undefined> = new Map([
  ["writable", "false"],
  ["size", "1Gi"],
  ["inodes", undefined],
  ["uid", undefined],
  ["gid", undefined],
  ["mode", undefined],
]);

const NAMES = {
  known: Object.keys(allAttributes.shape),
  aliases: new Map<string, Alias>([["oras.artifact.reference", { name: "reference" }], ...artifactAliases]),
};

type Node = {
  readonly registries: readonly RegistrySettings[];
  /** Absent where inline volumes are only read. */
  readonly scratch?: { readonly maxSizeBytes: number };
};

/**
 * The settings that a volume's attributes spell; keys of Kubernetes' own are passed over.
 * Throws `invalid` with every problem at once.
 */
export function parseVolume(attributes: ReadonlyMap<string, string>, node: Node): VolumeSettings {
  const problems: string[] = [];
  const taken = node.scratch === undefined ? withoutLater(attributes, problems) : attributes;
  const input = Object.fromEntries(nameAttributes(taken, NAMES, problems));
  const result = allAttributes.safeParse(input);
  if (!result.success) problems.push(...describeProblems(result.error, allAttributes, input));
  else problems.push(...refusedTransport(result.data, result.data.reference.host, node.registries));
  const scratch = result.success
    ? toScratch(result.data, node.scratch?.maxSizeBytes ?? 0, problems)
    : undefined;
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

function withoutLater(
  attributes: ReadonlyMap<string, string>,
  problems: string[],
): ReadonlyMap<string, string> {
  const [later, now] = [new Map<string, string>(), new Map<string, string>()];
  for (const [name, value] of ownAttributes(attributes)) (LATER.has(name) ? later : now).set(name, value);
  for (const [name, value] of later) {
    if (value !== LATER.get(name)) problems.push(`"${name}" is not supported yet; leave it out`);
  }
  return now;
}
