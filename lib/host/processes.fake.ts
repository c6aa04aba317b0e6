// Programs in memory: the twin of running real ones, for tests of what we do with their answers.
import { Failure } from "../core/failure.ts";
import { BoundedBytes, ByteTail } from "./byte-tail.ts";
import {
  type Processes,
  type ProcessRequest,
  type ProcessResult,
  STDERR_TAIL_BYTES,
  STDOUT_LIMIT_BYTES,
} from "./processes.ts";

/** What a program in memory sees, and where it prints. */
export type FakeCall = {
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly cwd: string | undefined;
  readonly stdin: Uint8Array;
  readonly descriptors: readonly Uint8Array[];
  /** Aborted when the program is told to end. */
  readonly signal: AbortSignal;
  readonly print: (text: string | Uint8Array) => Promise<void>;
  readonly printError: (text: string) => void;
};

/** Resolves to its exit code. */
export type FakeProgram = (call: FakeCall) => number | Promise<number>;

/** Processes that know these programs only. `calls` lists what was asked of them, in order. */
export function fakeProcesses(programs: Readonly<Record<string, FakeProgram>>): Processes & {
  readonly calls: readonly ProcessRequest[];
} {
  const calls: ProcessRequest[] = [];
  return {
    calls,
    async run(request) {
      request.signal?.throwIfAborted();
      calls.push(request);
      const program = programs[request.program];
      if (program === undefined) {
        throw new Failure("unavailable", `Cannot start "${request.program}": there is no such program`);
      }
      const result = await play(program, request);
      request.signal?.throwIfAborted();
      return result;
    },
  };
}

async function play(program: FakeProgram, request: ProcessRequest): Promise<ProcessResult> {
  const stderr = new ByteTail(STDERR_TAIL_BYTES);
  const stdout = new BoundedBytes(request.stdoutLimitBytes ?? STDOUT_LIMIT_BYTES, request.program);
  const onStdout = request.onStdout ?? ((chunk: Uint8Array) => stdout.push(chunk));
  const exitCode = await program({
    args: request.args,
    env: { ...request.env, ...request.attempt?.env },
    cwd: request.cwd,
    stdin: await bytesOf(request.stdin ?? ""),
    descriptors: request.descriptors ?? [],
    signal: request.signal ?? new AbortController().signal,
    print: async (text) => onStdout(Buffer.from(text)),
    printError: (text) => stderr.push(Buffer.from(text)),
  });
  return { exitCode, signal: undefined, stdout: stdout.bytes(), stderrTail: stderr.text() };
}

async function bytesOf(stdin: NonNullable<ProcessRequest["stdin"]>): Promise<Uint8Array> {
  if (typeof stdin === "string" || stdin instanceof Uint8Array) return Buffer.from(stdin);
  return Buffer.concat(await Array.fromAsync(stdin));
}
