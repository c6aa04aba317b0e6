// The ways in which the registry double misbehaves, and how each of them looks on the wire.
import type { IncomingMessage, ServerResponse } from "node:http";
import { type Reply, send } from "./wire.ts";

export type Misbehaviour = AnswerFault | UploadFault;

type AnswerFault =
  | { readonly kind: "status"; readonly status: number; readonly headers?: Readonly<Record<string, string>> }
  /** Takes the request and never answers. */
  | { readonly kind: "hang" }
  /** Sends so many bytes of the body, and then nothing more. */
  | { readonly kind: "stall"; readonly after: number }
  /** Sends so many bytes of the body, and then breaks the connection off. */
  | { readonly kind: "cut"; readonly after: number }
  /** Answers 200 and everything, whatever range was asked. */
  | { readonly kind: "whole" }
  /** Answers another range than was asked. */
  | { readonly kind: "other-range"; readonly by: number }
  /** Says that the whole has another size. */
  | { readonly kind: "other-size"; readonly by: number }
  /** Sends more (or, negative, fewer) bytes than are due; told by Content-Length, or found out at the end. */
  | { readonly kind: "length"; readonly by: number; readonly told: boolean }
  /** The right number of wrong bytes. */
  | { readonly kind: "wrong-bytes" }
  | { readonly kind: "encoded" }
  | { readonly kind: "not-http"; readonly bytes?: string }
  | { readonly kind: "redirect"; readonly to: string };

/** Takes so many bytes of what is sent to it, and then breaks the connection off. */
type UploadFault = { readonly kind: "cut-upload"; readonly after: number };

/** Sends the reply, spoilt. */
export function sendSpoilt(response: ServerResponse, reply: Reply, fault: AnswerFault): void {
  switch (fault.kind) {
    case "hang":
      return;
    case "status":
      response.writeHead(fault.status, fault.headers).end(JSON.stringify({ errors: [] }));
      return;
    case "redirect":
      response.writeHead(307, { location: fault.to }).end();
      return;
    case "not-http":
      response.socket?.end(fault.bytes ?? "SSH-2.0-larder\r\n\r\n");
      return;
    case "stall":
    case "cut":
      response.writeHead(reply.status, { ...reply.headers, "content-length": String(reply.body.length) });
      response.write(reply.body.subarray(0, fault.after), () => {
        if (fault.kind === "cut") response.destroy();
      });
      if (fault.after === 0) response.flushHeaders();
      return;
    case "whole":
      send(response, { ...reply, status: 200, body: reply.whole });
      return;
    case "other-range":
      send(response, { ...reply, headers: { ...reply.headers, ...rangeHeader(reply, fault.by, 0) } });
      return;
    case "other-size":
      send(response, { ...reply, headers: { ...reply.headers, ...rangeHeader(reply, 0, fault.by) } });
      return;
    case "wrong-bytes":
      send(response, { ...reply, body: reply.body.map((byte) => byte ^ 0x5a) });
      return;
    case "encoded":
      send(response, { ...reply, headers: { ...reply.headers, "content-encoding": "gzip" } });
      return;
    case "length":
      sendOfLength(response, reply, fault);
  }
}

/** Reads so many bytes and dies. */
export async function cutUpload(request: IncomingMessage, after: number): Promise<void> {
  const { socket } = request;
  let seen = 0;
  for await (const chunk of request) {
    seen += (chunk as Uint8Array).length;
    if (seen >= after) break;
  }
  socket.destroy();
}

function sendOfLength(response: ServerResponse, reply: Reply, fault: { by: number; told: boolean }): void {
  const body =
    fault.by < 0
      ? reply.body.subarray(0, Math.max(0, reply.body.length + fault.by))
      : Buffer.concat([reply.body, Buffer.alloc(fault.by)]);
  if (fault.told) return send(response, { ...reply, body });
  response.writeHead(reply.status, { ...reply.headers, "transfer-encoding": "chunked" });
  response.end(body);
}

function rangeHeader(reply: Reply, by: number, more: number): Record<string, string> {
  const { start, end } = reply.range ?? { start: 0, end: reply.whole.length };
  return { "content-range": `bytes ${start + by}-${end - 1 + by}/${reply.whole.length + more}` };
}
