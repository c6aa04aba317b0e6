// What a class says about a claim, and what its owner changes later: every problem at once.
import type { z } from "zod";
import type { Outcome } from "../core/claim-record.ts";
import type { ClaimCache, ClaimSettings, ClaimTerms } from "../core/claim-settings.ts";
import { Failure, isFailure } from "../core/failure.ts";
import { type Alias, artifactAliases, refusedTransport, toArtifactSettings } from "./artifact.ts";
import { claimModification, claimParameters } from "./claim-schema.ts";
import { nameAttributes } from "./names.ts";
import { describeProblems } from "./problems.ts";
import type { RegistrySettings } from "./registries.ts";

type Said = z.output<typeof claimParameters>;
type Node = { readonly registries: readonly RegistrySettings[] };
type Texts = ReadonlyMap<string, string>;

const NAMESPACE = "csi.storage.k8s.io/pvc/namespace";

const NAMES = {
  known: Object.keys(claimParameters.shape),
  aliases: new Map<string, Alias>([
    ["k8storagex.mgoltzsche.github.com/cache-name", { name: "cache" }],
    ...artifactAliases,
  ]),
};

/**
 * What a claim is made with: `parameters` of its class with what the provisioner adds, and `mutable` ones, which count
 * before those. Throws `invalid` with every problem at once.
 */
export function parseClaim(
  parameters: Texts,
  mutable: Texts,
  node: Node,
): { readonly settings: ClaimSettings; readonly terms: ClaimTerms } {
  const problems: string[] = [];
  const { outcome, ...changes } = checkModification(mutable, problems);
  if (outcome !== undefined) problems.push('"outcome" cannot be said before a pod has used the claim');
  const said = checkParameters(parameters, node, problems);
  const cache = said === undefined ? undefined : cacheOf(said, parameters.get(NAMESPACE), problems);
  const terms = said === undefined ? undefined : { ...toTerms(said), ...toChanges(changes) };
  const hasBase = said?.from !== undefined || (cache !== undefined && terms?.policy !== "push");
  if (said?.["fail-on-miss"] === true && !hasBase && problems.length === 0) {
    problems.push('"fail-on-miss" asks for a base, and there is none to read; name a "cache" or "from"');
  }
  if (said === undefined || terms === undefined || problems.length > 0) throw refusal(problems);
  return { settings: { ...toSettings(said), ...(cache === undefined ? {} : { cache }) }, terms };
}

/**
 * What a class says wherever its claims go: without a claim, so without a repository.
 * Throws `invalid` with every problem at once.
 */
export function parseClass(parameters: Texts, node: Node): ClaimSettings {
  const problems: string[] = [];
  const said = checkParameters(parameters, node, problems);
  if (said === undefined || problems.length > 0) throw refusal(problems);
  return toSettings(said);
}

/**
 * What is changed about a claim that is there; nothing else may be, and nothing is applied where anything is refused.
 * Throws `invalid` with every problem at once.
 */
export function parseModification(mutable: Texts): {
  readonly terms: Partial<ClaimTerms>;
  readonly outcome?: Outcome;
} {
  const problems: string[] = [];
  const { outcome, ...changes } = checkModification(mutable, problems);
  if (problems.length > 0) throw refusal(problems);
  return { terms: toChanges(changes), ...(outcome === undefined ? {} : { outcome }) };
}

const refusal = (problems: readonly string[]) =>
  new Failure("invalid", `Cannot use the claim's parameters: ${problems.join("; ")}`);

function checkParameters(parameters: Texts, node: Node, problems: string[]): Said | undefined {
  const input = Object.fromEntries(nameAttributes(parameters, NAMES, problems));
  const result = claimParameters.safeParse(input);
  if (!result.success) {
    problems.push(...describeProblems(result.error, claimParameters, input));
    return undefined;
  }
  const { from, cache, repository } = result.data;
  const hosts = new Set([from?.host, repository?.host].filter((host) => host !== undefined));
  problems.push(...[...hosts].flatMap((host) => refusedTransport(result.data, host, node.registries)));
  if (cache !== undefined && repository === undefined) {
    problems.push(`"cache" has nowhere to live; name a "repository" in the storage class`);
  }
  return result.data;
}

function checkModification(mutable: Texts, problems: string[]): z.output<typeof claimModification> {
  const names = { known: Object.keys(claimModification.shape), aliases: new Map<string, Alias>() };
  const input = Object.fromEntries(nameAttributes(mutable, names, problems));
  const result = claimModification.safeParse(input);
  if (result.success) return result.data;
  problems.push(...describeProblems(result.error, claimModification, input));
  return {};
}

function cacheOf(said: Said, namespace: string | undefined, problems: string[]): ClaimCache | undefined {
  const { cache, repository } = said;
  if (cache === undefined || repository === undefined) return undefined;
  if (repository.needsNamespace && !namespace) {
    problems.push(
      `"repository" needs the claim's namespace, which nobody told (${NAMESPACE}); run the provisioner with --extra-create-metadata`,
    );
    return undefined;
  }
  try {
    const place = repository.expand({ namespace: namespace ?? "", cache });
    return { ...place, key: said.key, restoreKeys: said["restore-keys"] ?? [] };
  } catch (error) {
    if (!isFailure(error)) throw error;
    problems.push(`repository: ${error.message}`);
    return undefined;
  }
}

function toTerms(said: Said): ClaimTerms {
  const { policy, when, "on-push-failure": onPushFailure, "push-deadline": pushDeadlineMs } = said;
  return { policy, when, onPushFailure, pushDeadlineMs };
}

function toChanges(said: z.output<typeof claimModification>): Partial<ClaimTerms> {
  return {
    ...(said.policy === undefined ? {} : { policy: said.policy }),
    ...(said.when === undefined ? {} : { when: said.when }),
    ...(said["on-push-failure"] === undefined ? {} : { onPushFailure: said["on-push-failure"] }),
    ...(said["push-deadline"] === undefined ? {} : { pushDeadlineMs: said["push-deadline"] }),
  };
}

function toSettings(said: Said): ClaimSettings {
  const { from, inodes, uid, gid, mode, "max-size": maxSizeBytes } = said;
  return {
    ...toArtifactSettings(said),
    ...(from === undefined ? {} : { from }),
    whenUnknown: said["when-unknown"],
    failOnMiss: said["fail-on-miss"],
    baseDeadlineMs: said["base-deadline"],
    format: said.format,
    compare: said.compare,
    layout: said.layout,
    durability: said.durability,
    versions: said.versions,
    ...(maxSizeBytes === undefined ? {} : { maxSizeBytes }),
    ...(inodes === undefined ? {} : { inodes }),
    ...(uid === undefined ? {} : { uid }),
    ...(gid === undefined ? {} : { gid }),
    ...(mode === undefined ? {} : { mode }),
    quota: said.quota,
    devices: said.devices,
  };
}
