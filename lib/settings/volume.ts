// What a pod says about an inline volume: its attributes, under our names or those of csi-driver-oras.
import { z } from "zod";
import { ownAttributes } from "../core/attributes.ts";
import { Failure } from "../core/failure.ts";
import { isLoopbackHost } from "../core/host-pattern.ts";
import { parsePlatform } from "../core/platform.ts";
import { parseReference } from "../core/reference.ts";
import { describeProblems, parsed, unknownName } from "./problems.ts";
import { type RegistrySettings, registryFor } from "./registries.ts";

function parseSwitch(text: string): boolean {
  if (/^(?:true|t|1)$/i.test(text)) return true;
  if (/^(?:false|f|0)$/i.test(text)) return false;
  throw new Failure("invalid", `Cannot read "${text}" as a switch: write true or false`);
}

function parseMediaTypes(text: string): readonly string[] {
  const types = text.split(",").map((type) => type.trim());
  const odd = types.find((type) => !/^[A-Za-z0-9!#$&^_.+-]+\/[A-Za-z0-9!#$&^_.+-]+$/.test(type));
  if (odd === undefined) return types;
  throw new Failure(
    "invalid",
    `Cannot read the media type "${odd}": write type/subtype, several with commas between`,
  );
}

export const volumeAttributes = z.strictObject({
  reference: parsed(parseReference).meta({
    description:
      "The artifact: `host/repository:tag` or `host/repository@sha256:…`; alias `oras.artifact.reference`.",
  }),
  "pull-policy": z.enum(["IfNotPresent", "Always", "Never"]).exactOptional().meta({
    description:
      "By tag, as for images: `Always` for `latest`, else `IfNotPresent`; alias `oras.options.pullalways`.",
  }),
  "media-types": parsed(parseMediaTypes).exactOptional().meta({
    description: "Which layers to take, with commas between; alias `oras.artifact.layers.mediatype`.",
  }),
  platform: parsed(parsePlatform).exactOptional().meta({
    description: "Which entry of an index, such as `linux/arm64`; the node's where it is not given.",
  }),
  layout: z.enum(["overlay", "copy"]).default("overlay").meta({
    description: "`copy` makes one directory of several layers, for pods in a user namespace.",
  }),
  "plain-http": parsed(parseSwitch).exactOptional().meta({
    description:
      "HTTP without TLS, where the node allows it; the node's way where it is not given; alias `oras.options.plainhttp`.",
  }),
  insecure: parsed(parseSwitch).exactOptional().meta({
    description:
      "Any certificate, where the node allows it; the node's way where it is not given; alias `oras.options.insecure`.",
  }),
});

type Attributes = z.output<typeof volumeAttributes>;

export type VolumeSettings = Omit<Attributes, "pull-policy" | "media-types" | "plain-http"> & {
  /** None: by tag. */
  readonly pullPolicy?: NonNullable<Attributes["pull-policy"]>;
  readonly mediaTypes?: readonly string[];
  readonly plainHttp?: boolean;
};

const ALIASES: ReadonlyMap<string, string> = new Map([
  ["oras.artifact.reference", "reference"],
  ["oras.artifact.layers.mediatype", "media-types"],
  ["oras.options.pullalways", "pull-policy"],
  ["oras.options.plainhttp", "plain-http"],
  ["oras.options.insecure", "insecure"],
]);

/** csi-driver-oras has it; here the node's settings decide. Taken so that its volumes need no change. */
const WITHOUT_EFFECT = "oras.options.concurrency";

/** Not built yet; what they are when nothing is said may be said. */
const LATER: ReadonlyMap<string, string | undefined> = new Map([
  ["writable", "false"],
  ["size", "1Gi"],
  ["inodes", undefined],
  ["uid", undefined],
  ["gid", undefined],
  ["mode", undefined],
]);

/**
 * The settings that a volume's attributes spell; keys of Kubernetes' own are passed over.
 * Throws `invalid` with every problem at once.
 */
export function parseVolume(
  attributes: ReadonlyMap<string, string>,
  node: { readonly registries: readonly RegistrySettings[] },
): VolumeSettings {
  const problems: string[] = [];
  const named = nameAttributes(attributes, problems);
  const input = Object.fromEntries(named);
  const result = volumeAttributes.safeParse(input);
  if (!result.success) problems.push(...describeProblems(result.error, volumeAttributes, input));
  else problems.push(...refusedTransport(result.data, node.registries));
  if (!result.success || problems.length > 0) {
    throw new Failure("invalid", `Cannot use the volume's attributes: ${problems.join("; ")}`);
  }
  const {
    "pull-policy": pullPolicy,
    "media-types": mediaTypes,
    "plain-http": plainHttp,
    ...rest
  } = result.data;
  return {
    ...rest,
    ...(pullPolicy === undefined ? {} : { pullPolicy }),
    ...(mediaTypes === undefined ? {} : { mediaTypes }),
    ...(plainHttp === undefined ? {} : { plainHttp }),
  };
}

/** The attributes under our names; what is unknown, too early or said twice goes to `problems`. */
function nameAttributes(
  attributes: ReadonlyMap<string, string>,
  problems: string[],
): ReadonlyMap<string, string> {
  const named = new Map<string, string>();
  const saidAs = new Map<string, string>();
  for (const [key, value] of ownAttributes(attributes)) {
    if (key === WITHOUT_EFFECT) continue;
    const name = ALIASES.get(key) ?? key;
    const problem = LATER.has(name) ? refusedYet(name, value) : refusedName(name);
    if (problem !== undefined) problems.push(problem);
    if (problem !== undefined || LATER.has(name)) continue;
    const text = key === "oras.options.pullalways" ? toPullPolicy(value) : value;
    const before = named.get(name);
    if (before !== undefined && before !== text) {
      problems.push(`"${saidAs.get(name)}" and "${key}" contradict each other; leave one of them out`);
    }
    named.set(name, text);
    saidAs.set(name, key);
  }
  return named;
}

/** What is neither is passed on, to be refused as the pull policy that it is not. */
function toPullPolicy(pullAlways: string): string {
  if (/^(?:true|t|1)$/i.test(pullAlways)) return "Always";
  return /^(?:false|f|0)$/i.test(pullAlways) ? "IfNotPresent" : pullAlways;
}

function refusedName(name: string): string | undefined {
  const known = [...Object.keys(volumeAttributes.shape), ...LATER.keys()];
  return known.includes(name) ? undefined : unknownName(name, name, [...known, ...ALIASES.keys()]);
}

function refusedYet(name: string, value: string): string | undefined {
  const ordinary = LATER.get(name);
  return value === ordinary ? undefined : `"${name}" is not supported yet; leave it out`;
}

function refusedTransport(
  attributes: Attributes,
  registries: readonly RegistrySettings[],
): readonly string[] {
  const { host } = attributes.reference;
  const registry = registryFor(registries, host);
  const refused = (name: string, setting: string) =>
    `"${name}" is not allowed for ${host}; ask the node's administrator to set ${setting} for it under registries`;
  const plain = registry?.allowPlainHttp === true || (registry?.plainHttp ?? isLoopbackHost(host));
  const lax = registry?.allowInsecure === true || registry?.insecure === true;
  return [
    ...(attributes["plain-http"] === true && !plain ? [refused("plain-http", "allowPlainHttp")] : []),
    ...(attributes.insecure === true && !lax ? [refused("insecure", "allowInsecure")] : []),
  ];
}
