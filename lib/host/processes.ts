// Other people's programs: a port to run one and to be sure that it, and all it started, has ended.
import type { Attempt } from "./attempts.ts";

export type ProcessRequest = {
  /** An absolute path, or a name for the PATH in `env`. */
  readonly program: string;
  /** Everybody on the node can read these: never a secret. */
  readonly args: readonly string[];
  /** The whole environment: nothing of ours is inherited. */
  readonly env: Readonly<Record<string, string>>;
  readonly cwd?: string;
  /**
   * What it reads from its standard input; empty by default. An iterable is asked for more as the program reads, and
   * left where it ends before that; what it throws ends the program, and `run` rejects with it.
   */
  readonly stdin?: string | Uint8Array | AsyncIterable<Uint8Array>;
  /** Bytes for it alone, never on a disk: it reads them at `/dev/fd/3`, `/dev/fd/4` and so on, as often as it likes. */
  readonly descriptors?: readonly Uint8Array[];
  /** Takes the standard output as it comes, and holds the program back until it resolves. */
  readonly onStdout?: (chunk: Uint8Array) => void | Promise<void>;
  /** How much of the standard output is kept where nothing takes it; 16 MiB by default. More is `out-of-range`. */
  readonly stdoutLimitBytes?: number;
  /** Sends SIGTERM to the program and its descendants, and SIGKILL 5 seconds later. */
  readonly signal?: AbortSignal;
  /** Where it is recorded, so that the next start can end it if we die first. */
  readonly attempt?: Attempt;
};

export type ProcessResult = {
  /** Undefined where a signal ended it. */
  readonly exitCode: number | undefined;
  readonly signal: string | undefined;
  readonly stdout: Uint8Array;
  /** The last 64 KiB of the standard error. */
  readonly stderrTail: string;
};

/**
 * Runs programs. `run` resolves, whatever the exit code, once the program has ended and what it left running
 * in its process group was killed. Failures: `unavailable` (cannot be started), `out-of-range` (too much output).
 * Cancelled, it rejects with the signal's reason, after the program has ended. No message holds an argument.
 */
export interface Processes {
  run(request: ProcessRequest): Promise<ProcessResult>;
}

/** How much of the standard error is kept. */
export const STDERR_TAIL_BYTES = 64 * 1024;
export const STDOUT_LIMIT_BYTES = 16 * 1024 * 1024;
