// A thread that receives: asks as it is told to, and puts what arrives where it belongs, piece by piece, from its own hands.
import { parentPort, workerData } from "node:worker_threads";
import type { Incoming } from "./incoming.ts";
import { codeOf } from "./network-faults.ts";
import { pourInto, WriteRefused } from "./pour-into.ts";
import type { FromReceiver, PourOrder, SentError, ToReceiver } from "./receiver-messages.ts";
import { Transport, type TransportOptions } from "./transport.ts";

if (parentPort === null) throw new Error("receive.worker.ts runs in a worker thread");
const port = parentPort;
const say = (message: FromReceiver) => port.postMessage(message);
const transport = new Transport(workerData as TransportOptions);

/** `unread`: its head is here, and nobody reads on yet. */
type Answer = { readonly stop: AbortController; incoming?: Incoming; unread?: boolean };
const answers = new Map<number, Answer>();

function toSent(error: unknown): SentError {
  const code = codeOf(error);
  const { message, stack } = error instanceof Error ? error : new Error(String(error));
  return { message, ...(stack === undefined ? {} : { stack }), ...(code === undefined ? {} : { code }) };
}

function fail(id: number, error: unknown): void {
  answers.delete(id);
  if (error instanceof WriteRefused) say({ kind: "refused", id, error: toSent(error.cause) });
  else say({ kind: "broken", id, error: toSent(error) });
}

async function send(id: number, outgoing: ToReceiver & { kind: "send" }): Promise<void> {
  const answer: Answer = { stop: new AbortController() };
  answers.set(id, answer);
  const { url, ...rest } = outgoing.outgoing;
  answer.incoming = await transport.send({ ...rest, url: new URL(url) }, answer.stop.signal);
  answer.unread = true;
  const { status, headers } = answer.incoming;
  say({ kind: "head", id, status, headers });
}

async function pour(id: number, incoming: Incoming, order: PourOrder): Promise<void> {
  const ending = await pourInto(incoming, order, (range, digest) =>
    say({ kind: "wrote", id, range, ...(digest === undefined ? {} : { digest }) }),
  );
  answers.delete(id);
  say({ kind: "end", id, ending });
}

async function discard(id: number, incoming: Incoming): Promise<void> {
  await incoming.discard();
  answers.delete(id);
  say({ kind: "end", id, ending: "whole" });
}

async function obey(message: ToReceiver): Promise<void> {
  const { id } = message;
  if (message.kind === "send") return await send(id, message);
  const answer = answers.get(id);
  if (answer === undefined) return;
  const { incoming, unread = false } = answer;
  answer.unread = false;
  if (incoming !== undefined && message.kind === "pour") return await pour(id, incoming, message.order);
  if (incoming !== undefined && message.kind === "discard") return await discard(id, incoming);
  answer.stop.abort(new Error("not wanted any more"));
  // Where somebody reads, it fails there.
  if (unread) fail(id, answer.stop.signal.reason);
}

port.on("message", (message: ToReceiver) => {
  obey(message).catch((error: unknown) => {
    if (answers.has(message.id)) fail(message.id, error);
  });
});
