// One run of the ORAS CLI: in a directory of its own, without this machine's credentials, its failure translated.
import { getCACertificates } from "node:tls";
import type { Access } from "../core/access.ts";
import { type Attempt, openAttempt } from "../host/attempts.ts";
import type { Processes, ProcessRequest } from "../host/processes.ts";
import type { Slots } from "./limits.ts";
import { orasFailure } from "./oras-failures.ts";
import { configOf, originOf, secretsOf, type Target, targetFlags } from "./oras-target.ts";

export type OrasDeps = {
  readonly processes: Processes;
  /** The path of the ORAS CLI 1.3.3. */
  readonly program: string;
  /** The directory of attempts; `sweepAttempts` cleans it at start. */
  readonly attempts: string;
  /** What of our environment ORAS is to know: `HTTPS_PROXY` and its like, `SSL_CERT_FILE`, `SSL_CERT_DIR`. */
  readonly env?: Readonly<Record<string, string>>;
  /** How the node's settings say that a registry is reached; as the access itself says, by default. */
  readonly accessOf?: (access: Access) => Promise<Access>;
  /** The authorities (PEM) for a host beside the system's, where there are any. */
  readonly authoritiesOf?: (host: string) => Promise<string | undefined>;
  /** How many run at once; any number by default. Each takes tens of megabytes. */
  readonly slots?: Slots;
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

/** Each target has two descriptors: its credentials, and its authorities. */
const FIRST_DESCRIPTOR = 3;
const configPath = (at: number) => `/dev/fd/${FIRST_DESCRIPTOR + at}`;
const authoritiesPath = (at: number) => `/dev/fd/${FIRST_DESCRIPTOR + 2 + at}`;
export const descriptorPath = (at: number) => `/dev/fd/${FIRST_DESCRIPTOR + 4 + at}`;

/** Runs the command in an attempt of its own and resolves to its output, or throws the Failure it ended with. */
export async function runOras(deps: OrasDeps, command: OrasCommand): Promise<Uint8Array> {
  await using attempt = await openAttempt(deps.attempts);
  // Awaited here, since the attempt goes with this block.
  return await runOrasIn(deps, attempt, command);
}

/** The same in an attempt that the caller opened, for what ORAS writes to files. */
export async function runOrasIn(deps: OrasDeps, attempt: Attempt, given: OrasCommand): Promise<Uint8Array> {
  const command = { ...given, targets: await reachableTargets(deps, given.targets) };
  const [first, second] = command.targets;
  const authorities = await Promise.all([authoritiesOf(deps, first), authoritiesOf(deps, second)]);
  using _slot = await takeSlot(deps, second ?? first, command.cancellation?.signal);
  const result = await deps.processes.run({
    program: deps.program,
    args: argumentsOf(command, authorities),
    env: {
      ...deps.env,
      HOME: attempt.directory,
      DOCKER_CONFIG: attempt.directory,
      TMPDIR: attempt.directory,
    },
    cwd: command.cwd ?? attempt.directory,
    descriptors: [
      configOf(first),
      configOf(second ?? first),
      ...authorities.map((pem) => Buffer.from(pem ?? "")),
      ...(command.descriptors ?? []),
    ],
    attempt,
    ...(command.stdin === undefined ? {} : { stdin: command.stdin }),
    ...(command.onStdout === undefined ? {} : { onStdout: command.onStdout }),
    ...(command.cancellation?.signal === undefined ? {} : { signal: command.cancellation.signal }),
  });
  if (result.exitCode === 0) return result.stdout;
  const { action, targets } = command;
  throw orasFailure(result, { action, origins: targets.map(originOf), secrets: targets.flatMap(secretsOf) });
}

/** Registries that hang keep those of others waiting no longer than their part of the slots. */
async function takeSlot(
  { slots }: OrasDeps,
  target: Target,
  signal: AbortSignal = new AbortController().signal,
): Promise<Disposable | undefined> {
  const of = "host" in target ? { group: target.host, line: target.repository } : { group: "", line: "" };
  return await slots?.take(of, signal);
}

async function reachableTargets(
  deps: OrasDeps,
  [first, second]: OrasCommand["targets"],
): Promise<OrasCommand["targets"]> {
  const reach = async (target: Target) =>
    deps.accessOf !== undefined && "host" in target ? await deps.accessOf(target) : target;
  return second === undefined ? [await reach(first)] : [await reach(first), await reach(second)];
}

/** The system's too: ORAS trusts those of its flag alone, and a registry may redirect to storage that has others. */
async function authoritiesOf(deps: OrasDeps, target: Target | undefined): Promise<string | undefined> {
  if (target === undefined || !("host" in target)) return undefined;
  const own = await deps.authoritiesOf?.(target.host);
  return own === undefined ? undefined : [...getCACertificates("system"), own].join("\n");
}

function argumentsOf(
  { words, targets, flags, positional }: OrasCommand,
  authorities: ReadonlyArray<string | undefined>,
): string[] {
  const own = targets.flatMap((target, at) =>
    targetFlags(target, {
      config: configPath(at),
      ...(targets.length === 1 ? {} : { prefix: at === 0 ? "from-" : "to-" }),
      ...(authorities[at] === undefined ? {} : { ca: authoritiesPath(at) }),
    }),
  );
  return [...words, ...own, ...(flags ?? []), "--", ...positional];
}
