// The one wrapper round every method: checks, deadline, cancellation, status; and one report of each call.
import type { Duplex } from "node:stream";
import type { ServerUnaryCall, sendUnaryData, UntypedServiceImplementation } from "@grpc/grpc-js";
import { logVerbosity, Server, ServerCredentials, setLogger, setLogVerbosity } from "@grpc/grpc-js";
import { Failure } from "../lib/core/failure.ts";
import type { Log } from "../lib/host/log.ts";
import { scrub } from "./redact.ts";
import { type ReportDeps, report } from "./report.ts";
import { checkRequest } from "./request-check.ts";
import { checkService, type Method, type Service } from "./service.ts";
import { type Answer, GRANTED, isGranted, toAnswer } from "./status.ts";
import { toTrailer } from "./trailer.ts";

export type Door = {
  /** Serves a connection that a socket took. */
  readonly accept: (connection: Duplex) => void;
  /** Calls that are not answered yet. */
  readonly active: () => number;
  /**
   * Takes no new call, lets those under way finish for `graceMs`, then aborts them, waits a second more, and closes.
   * Safe to repeat.
   */
  readonly close: (graceMs: number) => Promise<void>;
};

type UnaryCall = ServerUnaryCall<object, object>;
type Open = {
  readonly deps: ReportDeps;
  readonly calls: Map<AbortController, Promise<unknown>>;
  readonly connections: Set<Duplex>;
};

/** How long aborted calls have for their answers. */
const FAREWELL_MS = 1_000;

const OPTIONS = {
  // Off: it keeps a record of every connection for as long as the process lives.
  "grpc.enable_channelz": 0,
  // A Secret is at most 1 MiB; what is larger is answered RESOURCE_EXHAUSTED by grpc-js itself.
  "grpc.max_receive_message_length": 4 << 20,
};

/** Opens the door for these services, once each constant answer was seen to survive the wire. */
export function openServer(deps: ReportDeps, services: readonly Service[]): Door {
  for (const service of services) checkService(service);
  silence(deps.log);
  const server = new Server(OPTIONS);
  const open: Open = { deps, calls: new Map(), connections: new Set() };
  for (const service of services) server.addService(service.definition, implement(open, service));
  const injector = server.createConnectionInjector(ServerCredentials.createInsecure());
  let closed: Promise<void> | undefined;
  return {
    accept: (connection) => {
      if (closed !== undefined) return void connection.destroy();
      open.connections.add(connection);
      connection.once("close", () => open.connections.delete(connection));
      return injector.injectConnection(connection);
    },
    active: () => open.calls.size,
    close: (graceMs) => (closed ??= close(server, open, graceMs)),
  };
}

/** grpc-js prints to the terminal by itself. It is one logger for the whole process, by its own design. */
function silence(log: Log): void {
  const tell = (...words: unknown[]) => {
    log.warn("gRPC has something to say", { words: words.join(" ") });
  };
  setLogger({ error: tell, info: tell, debug: tell });
  setLogVerbosity(logVerbosity.ERROR);
}

function implement(open: Open, service: Service): UntypedServiceImplementation {
  const entries = Object.entries(service.methods).map(([name, method]) => [
    name,
    async (call: UnaryCall, callback: sendUnaryData<object>) => {
      const { answer, reply, words } = await serve(open, { name, method, call });
      if (isGranted(answer)) callback(null, reply, toTrailer(words));
      else callback({ code: answer.code, details: answer.message });
    },
  ]);
  return Object.fromEntries(entries) as UntypedServiceImplementation;
}

type Incoming = { readonly name: string; readonly method: Method; readonly call: UnaryCall };
type Outcome = {
  readonly answer: Answer;
  readonly reply: object;
  readonly error: unknown;
  /** What is told beside the reply. */
  readonly words: readonly string[];
};

/** Never rejects: grpc-js would leave the caller without an answer until its deadline. */
async function serve({ deps, calls }: Open, incoming: Incoming): Promise<Outcome> {
  const began = deps.now();
  const controller = new AbortController();
  incoming.call.on("cancelled", () => {
    // It comes after an answer, too.
    if (!calls.has(controller)) return;
    controller.abort(new Failure("pending", "Nobody waits for the answer any more; the next call goes on"));
  });
  const attempted = attempt(incoming, controller.signal);
  calls.set(controller, attempted);
  const outcome = await attempted;
  calls.delete(controller);
  report(deps, {
    method: incoming.name,
    isQuiet: incoming.method.quiet,
    request: incoming.call.request,
    ...outcome,
    began,
    deadline: Number(incoming.call.getDeadline()),
    isUnheard: incoming.call.cancelled,
  });
  return outcome;
}

async function attempt({ method, call }: Incoming, signal: AbortSignal): Promise<Outcome> {
  const words: string[] = [];
  try {
    checkRequest(call.request, method.required);
    const deadline = Number(call.getDeadline());
    const reply = await method.answer(call.request, { signal, deadline }, (said) => words.push(said));
    return { answer: GRANTED, reply, error: undefined, words };
  } catch (error) {
    const answer = toAnswer(error);
    return { answer: { ...answer, message: scrub(answer.message, call.request) }, reply: {}, error, words };
  }
}

/**
 * grpc-js says GOAWAY on every connection and lets its open calls end. Neither its callback nor forceShutdown() is of
 * use here: with injected connections the one does not wait, and without channelz the other does not close.
 */
async function close(server: Server, { calls, connections }: Open, graceMs: number): Promise<void> {
  const stopping = new Failure("unavailable", "Cannot finish the call: the plugin is stopping; ask again");
  const closed = [...connections].map(
    (connection) => new Promise<void>((resolve) => void connection.once("close", resolve)),
  );
  const timeUp = Promise.withResolvers<void>();
  const abort = setTimeout(() => {
    for (const controller of calls.keys()) controller.abort(stopping);
  }, graceMs);
  const end = setTimeout(timeUp.resolve, graceMs + FAREWELL_MS);
  server.tryShutdown(() => undefined);
  await Promise.race([Promise.all([...closed, ...calls.values()]), timeUp.promise]);
  clearTimeout(abort);
  clearTimeout(end);
  for (const connection of connections) connection.destroy();
}
