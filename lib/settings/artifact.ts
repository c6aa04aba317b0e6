// What inline volumes and claims alike may say about the artifact beneath them, and about how its registry is reached.
import { z } from "zod";
import { isLoopbackHost } from "../core/host-pattern.ts";
import { parsePlatform } from "../core/platform.ts";
import { parsed } from "./problems.ts";
import { type RegistrySettings, registryFor } from "./registries.ts";
import { parseMediaTypes, parseSwitch } from "./texts.ts";

export const artifactAttributes = {
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
};

/** Another's name for an attribute, and how its values are said in ours. */
export type Alias = { readonly name: string; readonly convert?: (value: string) => string };

export const artifactAliases: ReadonlyMap<string, Alias> = new Map([
  ["oras.artifact.layers.mediatype", { name: "media-types" }],
  ["oras.options.pullalways", { name: "pull-policy", convert: toPullPolicy }],
  ["oras.options.plainhttp", { name: "plain-http" }],
  ["oras.options.insecure", { name: "insecure" }],
]);

/** csi-driver-oras has it; here the node's settings decide. Taken so that its volumes need no change. */
export const withoutEffect = "oras.options.concurrency";

/** What is neither is passed on, to be refused as the pull policy that it is not. */
function toPullPolicy(pullAlways: string): string {
  if (/^(?:true|t|1)$/i.test(pullAlways)) return "Always";
  return /^(?:false|f|0)$/i.test(pullAlways) ? "IfNotPresent" : pullAlways;
}

type Said = z.output<z.ZodObject<typeof artifactAttributes>>;

export type ArtifactSettings = Pick<Said, "platform" | "insecure"> & {
  /** None: by tag. */
  readonly pullPolicy?: NonNullable<Said["pull-policy"]>;
  readonly mediaTypes?: readonly string[];
  readonly plainHttp?: boolean;
};

export function toArtifactSettings(said: Omit<Said, "layout">): ArtifactSettings {
  return {
    ...(said["pull-policy"] === undefined ? {} : { pullPolicy: said["pull-policy"] }),
    ...(said["media-types"] === undefined ? {} : { mediaTypes: said["media-types"] }),
    ...(said.platform === undefined ? {} : { platform: said.platform }),
    ...(said["plain-http"] === undefined ? {} : { plainHttp: said["plain-http"] }),
    ...(said.insecure === undefined ? {} : { insecure: said.insecure }),
  };
}

/** Sentences for what the node does not allow on the way to `host`. */
export function refusedTransport(
  said: { readonly "plain-http"?: boolean; readonly insecure?: boolean },
  host: string,
  registries: readonly RegistrySettings[],
): readonly string[] {
  const registry = registryFor(registries, host);
  const refused = (name: string, setting: string) =>
    `"${name}" is not allowed for ${host}; ask the node's administrator to set ${setting} for it under registries`;
  const plain = registry?.allowPlainHttp === true || (registry?.plainHttp ?? isLoopbackHost(host));
  const lax = registry?.allowInsecure === true || registry?.insecure === true;
  return [
    ...(said["plain-http"] === true && !plain ? [refused("plain-http", "allowPlainHttp")] : []),
    ...(said.insecure === true && !lax ? [refused("insecure", "allowInsecure")] : []),
  ];
}
