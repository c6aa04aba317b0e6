// What a credential-provider plugin answers: a CredentialProviderResponse, checked.
import type { Failure } from "../core/failure.ts";
import { parseDuration } from "../core/quantity.ts";
import type { CredentialProvider } from "../settings/credential-providers.ts";
import type { KeyedCredentials } from "./docker-config.ts";

const SCOPES = ["Image", "Registry", "Global"] as const;

export type PluginAnswer = {
  readonly entries: readonly KeyedCredentials[];
  /** What else the answer is good for. */
  readonly scope: (typeof SCOPES)[number];
  readonly cacheMs: number;
};

/** Throws what `fail` makes of the reason: never a word of the answer, which holds secrets. */
export function parsePluginAnswer(
  bytes: Uint8Array,
  provider: CredentialProvider,
  fail: (why: string) => Failure,
): PluginAnswer {
  const answer = parseObject(bytes);
  if (answer === undefined) throw fail("its answer is no JSON object");
  if (answer["kind"] !== "CredentialProviderResponse" || answer["apiVersion"] !== provider.apiVersion) {
    throw fail(`its answer is no CredentialProviderResponse of ${provider.apiVersion}`);
  }
  const scope = SCOPES.find((name) => name === answer["cacheKeyType"]);
  if (scope === undefined) throw fail("its answer has no cacheKeyType Image, Registry or Global");
  return {
    entries: entriesOf(answer["auth"] ?? {}, fail),
    scope,
    cacheMs: durationOf(answer["cacheDuration"], fail) ?? provider.defaultCacheMs,
  };
}

function entriesOf(auth: unknown, fail: (why: string) => Failure): readonly KeyedCredentials[] {
  if (!isObject(auth)) throw fail("the auth of its answer is no object");
  return Object.entries(auth).flatMap(([key, entry]) => {
    const { username, password } = isObject(entry) ? entry : {};
    if (typeof username !== "string" || typeof password !== "string") {
      throw fail("an entry of its answer has no username or password");
    }
    return username === "" && password === ""
      ? []
      : [{ key, credentials: { kind: "basic", username, password } }];
  });
}

function durationOf(text: unknown, fail: (why: string) => Failure): number | undefined {
  if (text === undefined || text === null) return undefined;
  const none = fail("its answer has a cacheDuration that is none");
  if (typeof text !== "string") throw none;
  try {
    return parseDuration(text);
  } catch {
    throw none;
  }
}

function parseObject(bytes: Uint8Array): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(Buffer.from(bytes).toString());
    return isObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
