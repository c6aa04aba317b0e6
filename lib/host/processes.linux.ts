// Runs programs by execa, each in a process group of its own.
import type { Readable, Writable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { execa } from "execa";
import { Failure } from "../core/failure.ts";
import { BoundedBytes, ByteTail } from "./byte-tail.ts";
import { failureOf } from "./errno.ts";
import { openMemoryFile } from "./memory-file.ts";
import { sendSignal } from "./process-table.ts";
import {
  type Processes,
  type ProcessRequest,
  type ProcessResult,
  STDERR_TAIL_BYTES,
  STDOUT_LIMIT_BYTES,
} from "./processes.ts";

/** How long a program has between SIGTERM and SIGKILL. */
const GRACE_MS = 5000;

export function openProcesses(options: { readonly graceMs?: number } = {}): Processes {
  const graceMs = options.graceMs ?? GRACE_MS;
  return { run: (request) => run(request, graceMs) };
}

async function run(request: ProcessRequest, graceMs: number): Promise<ProcessResult> {
  request.signal?.throwIfAborted();
  const child = startOrFail(request, graceMs);
  const stderr = new ByteTail(STDERR_TAIL_BYTES);
  const stdout = new BoundedBytes(request.stdoutLimitBytes ?? STDOUT_LIMIT_BYTES, request.program);
  const onStdout = request.onStdout ?? ((chunk: Uint8Array) => stdout.push(chunk));
  const streams = [child.stdout, child.stderr];
  const finished = Promise.all([
    drain(child.stdout, onStdout),
    drain(child.stderr, (chunk) => stderr.push(chunk)),
    isBytes(request.stdin) ? undefined : feed(request.stdin, child.stdin),
  ]).catch((error: unknown) => {
    child.kill("SIGKILL");
    throw error;
  });
  // Whoever is left in the group would hold the pipes open, and us with them.
  child.nodeChildProcess.once("exit", () => {
    if (child.pid !== undefined) sendSignal(-child.pid, "SIGKILL");
    if (request.signal?.aborted === true) for (const stream of streams) stream.destroy();
  });
  const [ended, output] = await Promise.allSettled([child, finished]);
  request.signal?.throwIfAborted();
  if (ended.status === "rejected") throw ended.reason;
  const { code, exitCode, signal } = ended.value;
  if (exitCode === undefined && signal === undefined) throw cannotStart(request, code);
  if (output.status === "rejected") throw output.reason;
  return { exitCode, signal, stdout: stdout.bytes(), stderrTail: stderr.text() };
}

function startOrFail(request: ProcessRequest, graceMs: number) {
  try {
    return start(request, graceMs);
  } catch (error) {
    throw failureOf(error, `Cannot start "${request.program}"`);
  }
}

function start(request: ProcessRequest, graceMs: number) {
  using held = new DisposableStack();
  // execa passes any descriptor on, but its types know those below 10 only.
  const fds = (request.descriptors ?? []).map((bytes) => held.use(openMemoryFile(bytes)).fd as 3);
  const child = execa(request.program, request.args, {
    env: { ...request.env, ...request.attempt?.env },
    extendEnv: false,
    ...(request.cwd === undefined ? {} : { cwd: request.cwd }),
    ...(request.signal === undefined ? {} : { cancelSignal: request.signal }),
    stdio: ["pipe", "pipe", "pipe", ...fds],
    ...(isBytes(request.stdin) ? { input: request.stdin ?? "" } : {}),
    encoding: "buffer",
    buffer: false,
    reject: false,
    killDescendants: true,
    forceKillAfterDelay: graceMs,
  });
  try {
    if (child.pid !== undefined) request.attempt?.record(child.pid);
    return child;
  } catch (error) {
    child.kill("SIGKILL");
    throw error;
  }
}

function isBytes(stdin: ProcessRequest["stdin"]): stdin is string | Uint8Array | undefined {
  return stdin === undefined || typeof stdin === "string" || stdin instanceof Uint8Array;
}

/** A program may end before it has read everything: what it made of that, its exit code says. */
async function feed(source: AsyncIterable<Uint8Array>, stdin: Writable): Promise<void> {
  const unread = new Set(["EPIPE", "ERR_STREAM_PREMATURE_CLOSE", "ERR_STREAM_DESTROYED", "ECONNRESET"]);
  await pipeline(source, stdin).catch((error: unknown) => {
    if (!unread.has((error as NodeJS.ErrnoException).code ?? "")) throw error;
  });
}

async function drain(stream: Readable, take: (chunk: Uint8Array) => void | Promise<void>): Promise<void> {
  for await (const chunk of stream) await take(chunk as Uint8Array);
}

function cannotStart(request: ProcessRequest, code: string | undefined): Failure {
  const why = code === "ENOENT" ? "there is no such program (or its working directory is gone)" : code;
  return new Failure("unavailable", `Cannot start "${request.program}": ${why ?? "the system refused it"}`);
}
