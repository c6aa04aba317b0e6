// The kubelet's credential-provider plugins (exec protocol v1), asked as the kubelet asks them and remembered as they say.
import path from "node:path";
import { Failure } from "../core/failure.ts";
import { fitsImage } from "../core/image-key.ts";
import { openAttempt } from "../host/attempts.ts";
import type { Processes, ProcessResult } from "../host/processes.ts";
import type { CredentialProvider } from "../settings/credential-providers.ts";
import type { KeyedCredentials } from "./docker-config.ts";
import { PluginCache } from "./plugin-cache.ts";
import { type PluginAnswer, parsePluginAnswer } from "./plugin-protocol.ts";

export type PluginDeps = {
  readonly processes: Processes;
  /** The directory of attempts; `sweepAttempts` cleans it at start. */
  readonly attempts: string;
  /** What the plugins see of our environment, such as PATH, HOME and the proxies. */
  readonly env: Readonly<Record<string, string>>;
  readonly now: () => number;
};

export type PluginSettings = {
  readonly providers: readonly CredentialProvider[];
  /** Where their programs are. */
  readonly binDirectory: string;
  /** How long one may take; a minute by default, as with the kubelet. */
  readonly timeoutMs?: number;
};

/** Entries of one plugin for an image. */
export type PluginCredentials = { readonly plugin: string; readonly entries: readonly KeyedCredentials[] };

/** Asks every plugin whose `matchImages` fit. One that fails is `unavailable`, unless another gives something. */
export interface CredentialPlugins {
  find(host: string, repository: string): Promise<readonly PluginCredentials[]>;
}

const TIMEOUT_MS = 60_000;

export function openCredentialPlugins(deps: PluginDeps, settings: PluginSettings): CredentialPlugins {
  const plugins = settings.providers.map((provider) => ({
    provider,
    cache: new PluginCache(deps.now, (image) => ask(deps, settings, provider, image)),
  }));
  return {
    async find(host, repository) {
      const fitting = plugins.filter(({ provider }) =>
        provider.matchImages.some((pattern) => fitsImage(pattern, host, repository)),
      );
      const answers = await Promise.allSettled(
        fitting.map(async ({ provider, cache }) => ({
          plugin: provider.name,
          entries: await cache.entriesFor(host, repository),
        })),
      );
      const given = answers.flatMap((answer) =>
        answer.status === "fulfilled" && answer.value.entries.length > 0 ? [answer.value] : [],
      );
      const failed = answers.find((answer) => answer.status === "rejected");
      if (given.length === 0 && failed !== undefined) throw failed.reason;
      return given;
    },
  };
}

async function ask(
  deps: PluginDeps,
  settings: PluginSettings,
  provider: CredentialProvider,
  image: string,
): Promise<PluginAnswer> {
  const fail = (why: string, cause?: unknown) =>
    new Failure(
      "unavailable",
      `Cannot get credentials for "${image}" from the credential provider "${provider.name}": ${why}`,
      { cause },
    );
  const result = await run(deps, settings, { provider, image, fail });
  if (result.exitCode !== 0) {
    const how =
      result.signal === undefined ? `it exited with ${result.exitCode}` : `${result.signal} ended it`;
    throw fail(`${how}; the node's log has what it said`, new Error(result.stderrTail.slice(-2000)));
  }
  return parsePluginAnswer(result.stdout, provider, fail);
}

type Question = {
  readonly provider: CredentialProvider;
  readonly image: string;
  readonly fail: (why: string, cause?: unknown) => Failure;
};

async function run(
  deps: PluginDeps,
  settings: PluginSettings,
  { provider, image, fail }: Question,
): Promise<ProcessResult> {
  const { apiVersion } = provider;
  const timeoutMs = settings.timeoutMs ?? TIMEOUT_MS;
  await using attempt = await openAttempt(deps.attempts);
  const timeout = AbortSignal.timeout(timeoutMs);
  try {
    return await deps.processes.run({
      program: path.join(settings.binDirectory, provider.name),
      args: provider.args,
      env: { ...deps.env, ...provider.env },
      cwd: attempt.directory,
      stdin: JSON.stringify({ kind: "CredentialProviderRequest", apiVersion, image }),
      stdoutLimitBytes: 1024 * 1024,
      signal: timeout,
      attempt,
    });
  } catch (error) {
    if (timeout.aborted) throw fail(`it did not answer within ${timeoutMs / 1000} s`);
    throw error instanceof Failure ? fail(error.message, error) : error;
  }
}
