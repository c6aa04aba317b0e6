// One run of the ORAS CLI: in a directory of its own, without this machine's credentials, its failure translated.
import { type Attempt, openAttempt } from "../host/attempts.ts";
import type { Processes, ProcessRequest, ProcessResult } from "../host/processes.ts";
import { failureOf } from "./oras-failures.ts";
import { configOf, originOf, secretsOf, type Target, targetFlags } from "./oras-target.ts";

export type OrasDeps = {
  readonly processes: Processes;
  /** The path of the ORAS CLI 1.3.3. */
  readonly program: string;
  /** The directory of attempts; `sweepAttempts` cleans it at start. */
  readonly attempts: string;
  /** What of our environment ORAS is to know: `HTTPS_PROXY` and its like, `SSL_CERT_FILE`, `SSL_CERT_DIR`. */
  readonly env?: Readonly<Record<string, string>>;
  /** The file with the certificate authority for a host, where there is one of its own. */
  readonly caOf?: (host: string) => string | undefined;
};

/** How a caller may end a command early. */
export type Cancellation = { readonly signal?: AbortSignal };

export type OrasCommand = {
  /** Such as `["manifest", "push"]`. */
  readonly words: readonly string[];
  /** One, or two for `cp`: from, to. */
  readonly targets: readonly [Target] | readonly [from: Target, to: Target];
  readonly flags?: readonly string[];
  readonly positional: readonly string[];
  /** `push registry.example/a/b:v1`: what a failure says could not be done. */
  readonly action: string;
  /** Bytes that flags name by `descriptorPath(0)` and so on. */
  readonly descriptors?: readonly Uint8Array[];
  readonly cancellation?: Cancellation | undefined;
} & Pick<ProcessRequest, "stdin" | "onStdout" | "cwd">;

/** The first two descriptors carry the credentials of the two targets. */
const FIRST_DESCRIPTOR = 3;
export const descriptorPath = (at: number) => `/dev/fd/${FIRST_DESCRIPTOR + 2 + at}`;

/** Runs the command in an attempt of its own and resolves to its output, or throws the Failure it ended with. */
export async function runOras(deps: OrasDeps, command: OrasCommand): Promise<Uint8Array> {
  await using attempt = await openAttempt(deps.attempts);
  // Awaited here, since the attempt goes with this block.
  return await runOrasIn(deps, attempt, command);
}

/** The same in an attempt that the caller opened, for what ORAS writes to files. */
export async function runOrasIn(deps: OrasDeps, attempt: Attempt, command: OrasCommand): Promise<Uint8Array> {
  const [first, second] = command.targets;
  const result = await deps.processes.run({
    program: deps.program,
    args: argumentsOf(deps, command),
    env: {
      ...deps.env,
      HOME: attempt.directory,
      DOCKER_CONFIG: attempt.directory,
      TMPDIR: attempt.directory,
    },
    cwd: command.cwd ?? attempt.directory,
    descriptors: [configOf(first), configOf(second ?? first), ...(command.descriptors ?? [])],
    attempt,
    ...(command.stdin === undefined ? {} : { stdin: command.stdin }),
    ...(command.onStdout === undefined ? {} : { onStdout: command.onStdout }),
    ...(command.cancellation?.signal === undefined ? {} : { signal: command.cancellation.signal }),
  });
  return outputOf(result, command);
}

function argumentsOf(deps: OrasDeps, { words, targets, flags, positional }: OrasCommand): string[] {
  const [first, second] = targets;
  const prefixes = second === undefined ? [undefined] : (["from-", "to-"] as const);
  const own = [first, second].slice(0, prefixes.length).flatMap((target, at) => {
    const prefix = prefixes[at];
    const ca = target !== undefined && "host" in target ? deps.caOf?.(target.host) : undefined;
    const config = `/dev/fd/${FIRST_DESCRIPTOR + at}`;
    return target === undefined
      ? []
      : targetFlags(target, { ...(prefix === undefined ? {} : { prefix }), config, ca });
  });
  return [...words, ...own, ...(flags ?? []), "--", ...positional];
}

function outputOf(result: ProcessResult, { action, targets }: OrasCommand): Uint8Array {
  if (result.exitCode === 0) return result.stdout;
  const denying = targets.find((target) => originOf(target) !== undefined);
  throw failureOf(result, {
    action,
    origin: denying === undefined ? undefined : originOf(denying),
    secrets: targets.flatMap(secretsOf),
  });
}
