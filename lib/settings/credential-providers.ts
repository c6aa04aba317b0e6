// The kubelet's CredentialProviderConfig: which plugins give credentials for which images, and for how long.
import { z } from "zod";
import { Failure } from "../core/failure.ts";
import { parseDuration } from "../core/quantity.ts";
import { describeProblems, parsed } from "./problems.ts";
import { parseYaml } from "./yaml.ts";

const VERSIONS = ["v1", "v1beta1", "v1alpha1"] as const;

const provider = z.object({
  name: z.string().regex(/^(?!\.{1,2}$)[^/\s\0]+$/, "write the name of a program, without a slash"),
  matchImages: z.array(z.string().min(1)).min(1),
  defaultCacheDuration: parsed(parseDuration),
  apiVersion: z.enum(VERSIONS.map((version) => `credentialprovider.kubelet.k8s.io/${version}` as const)),
  args: z.array(z.string()).nullish(),
  env: z.array(z.object({ name: z.string().min(1), value: z.string() })).nullish(),
  tokenAttributes: z.unknown().optional(),
});

/** Fields that a newer kubelet knows are passed over: it has checked the file already. */
const file = z.object({
  apiVersion: z.enum(VERSIONS.map((version) => `kubelet.config.k8s.io/${version}` as const)),
  kind: z.literal("CredentialProviderConfig"),
  providers: z.array(provider).min(1),
});

export type CredentialProvider = {
  readonly name: string;
  readonly matchImages: readonly string[];
  readonly defaultCacheMs: number;
  readonly apiVersion: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
};

export type CredentialProviders = {
  readonly providers: readonly CredentialProvider[];
  /** Those that want a pod's service account token, which only the kubelet can ask for. */
  readonly leftOut: readonly string[];
};

/** The plugins that the text names, in its order. Throws `invalid` with every problem. */
export function parseCredentialProviders(text: string): CredentialProviders {
  const problems: string[] = [];
  const input = parseYaml(text, problems);
  const result = problems.length > 0 ? undefined : file.safeParse(input);
  if (result?.error !== undefined) problems.push(...describeProblems(result.error, file, input));
  const names = result?.data?.providers.map(({ name }) => name) ?? [];
  const twice = names.find((name, at) => names.indexOf(name) !== at);
  if (twice !== undefined) problems.push(`the provider "${twice}" is there twice`);
  if (result?.data === undefined || problems.length > 0) {
    throw new Failure("invalid", `Cannot use the CredentialProviderConfig: ${problems.join("; ")}`);
  }
  const wantsToken = ({ tokenAttributes }: z.output<typeof provider>) =>
    (tokenAttributes ?? undefined) !== undefined;
  return {
    providers: result.data.providers.filter((entry) => !wantsToken(entry)).map(toProvider),
    leftOut: result.data.providers.filter(wantsToken).map(({ name }) => name),
  };
}

function toProvider(entry: z.output<typeof provider>): CredentialProvider {
  return {
    name: entry.name,
    matchImages: entry.matchImages,
    defaultCacheMs: entry.defaultCacheDuration,
    apiVersion: entry.apiVersion,
    args: entry.args ?? [],
    env: Object.fromEntries((entry.env ?? []).map(({ name, value }) => [name, value])),
  };
}
