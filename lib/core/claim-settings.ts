// What was settled about a claim when it was made, and how a Record keeps it.
import type { CompareRule } from "./compare-entries.ts";
import type { Fields } from "./fields.ts";
import { formatPlatform, type Platform, parsePlatform } from "./platform.ts";
import { formatReference, parseReference, type Reference } from "./reference.ts";

export const cachePolicies = ["pull", "push", "pull-push", "discard"] as const;
export type CachePolicy = (typeof cachePolicies)[number];

/** The Cache of a claim: where it lives, and under which key. */
export type ClaimCache = {
  readonly host: string;
  readonly repository: string;
  readonly key: string;
  readonly restoreKeys: readonly string[];
};

/** What may be changed while the claim is there. */
export type ClaimTerms = {
  readonly policy: CachePolicy;
  readonly when: "success" | "always";
  readonly onPushFailure: "drop" | "keep";
  readonly pushDeadlineMs: number;
};

export type ClaimSettings = {
  readonly cache?: ClaimCache;
  readonly from?: Reference;
  readonly whenUnknown: "skip" | "push";
  readonly failOnMiss: boolean;
  readonly baseDeadlineMs: number;
  readonly format: "delta" | "portable";
  readonly compare: CompareRule;
  readonly layout: "overlay" | "copy";
  readonly durability: "normal" | "volatile";
  readonly versions: number;
  /** None: twice the claim. */
  readonly maxSizeBytes?: number;
  /** None: by tag. */
  readonly pullPolicy?: "IfNotPresent" | "Always" | "Never";
  readonly mediaTypes?: readonly string[];
  readonly platform?: Platform;
  readonly plainHttp?: boolean;
  readonly insecure?: boolean;
  /** None: by the claim's size. */
  readonly inodes?: number;
  readonly uid?: number;
  readonly gid?: number;
  readonly mode?: number;
  /** `required`: only where limits hold. */
  readonly quota: "auto" | "required";
  /** Under `copy`: device nodes are written back. */
  readonly devices: boolean;
};

/** The repository in words: `host/repository`. */
export function formatCache({ host, repository }: Pick<ClaimCache, "host" | "repository">): string {
  return `${host}/${repository}`;
}

/** JSON that readClaimSettings() reads. */
export function formatClaimSettings(settings: ClaimSettings): object {
  const { from, platform, ...rest } = settings;
  return {
    ...rest,
    ...(from === undefined ? {} : { from: formatReference(from) }),
    ...(platform === undefined ? {} : { platform: formatPlatform(platform) }),
  };
}

/** Throws what the fields throw; a Failure `invalid` where a reference or platform cannot be read. */
export function readClaimSettings(fields: Fields): ClaimSettings {
  const cache = fields.optionalObject("cache");
  const from = fields.optionalText("from");
  const platform = fields.optionalText("platform");
  return {
    ...(cache === undefined ? {} : { cache: readCache(cache) }),
    ...(from === undefined ? {} : { from: parseReference(from) }),
    whenUnknown: fields.choice("whenUnknown", ["skip", "push"]),
    failOnMiss: fields.boolean("failOnMiss"),
    baseDeadlineMs: fields.count("baseDeadlineMs"),
    format: fields.choice("format", ["delta", "portable"]),
    compare: fields.choice("compare", ["content", "exact"]),
    layout: fields.choice("layout", ["overlay", "copy"]),
    durability: fields.choice("durability", ["normal", "volatile"]),
    versions: fields.count("versions"),
    ...(fields.has("pullPolicy")
      ? { pullPolicy: fields.choice("pullPolicy", ["IfNotPresent", "Always", "Never"]) }
      : {}),
    ...(fields.has("mediaTypes") ? { mediaTypes: fields.texts("mediaTypes") } : {}),
    ...(platform === undefined ? {} : { platform: parsePlatform(platform) }),
    ...(fields.has("plainHttp") ? { plainHttp: fields.boolean("plainHttp") } : {}),
    ...(fields.has("insecure") ? { insecure: fields.boolean("insecure") } : {}),
    ...readCounts(fields, ["maxSizeBytes", "inodes", "uid", "gid", "mode"]),
    quota: fields.choice("quota", ["auto", "required"]),
    devices: fields.boolean("devices"),
  };
}

export function readClaimTerms(fields: Fields): ClaimTerms {
  return {
    policy: fields.choice("policy", cachePolicies),
    when: fields.choice("when", ["success", "always"]),
    onPushFailure: fields.choice("onPushFailure", ["drop", "keep"]),
    pushDeadlineMs: fields.count("pushDeadlineMs"),
  };
}

function readCache(fields: Fields): ClaimCache {
  return {
    host: fields.text("host"),
    repository: fields.text("repository"),
    key: fields.text("key"),
    restoreKeys: fields.texts("restoreKeys"),
  };
}

function readCounts<Name extends string>(
  fields: Fields,
  names: readonly Name[],
): { readonly [name in Name]?: number } {
  const counts: { [name in Name]?: number } = {};
  for (const name of names) {
    const count = fields.optionalCount(name);
    if (count !== undefined) counts[name] = count;
  }
  return counts;
}
