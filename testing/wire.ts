// What the doubles are asked, and what a server that behaves would answer.
import type { ServerResponse } from "node:http";

/** What was asked, in order; `authorization` proves where credentials went. */
export type Asked = {
  readonly method: string;
  readonly path: string;
  readonly query: string;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly connection: number;
};

/** An answer as it would be sent by a registry that behaves. */
export type Reply = {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array;
  /** Everything, and which part of it `body` is. */
  readonly whole: Uint8Array;
  readonly range?: { readonly start: number; readonly end: number };
};

export function send(response: ServerResponse, reply: Reply): void {
  response.writeHead(reply.status, { ...reply.headers, "content-length": String(reply.body.length) });
  response.end(reply.body);
}

/** The whole, or the range that was asked for. */
export function rangeReply(whole: Uint8Array, asked: Asked): Reply {
  const [, first, last] = /^bytes=(\d+)-(\d*)$/.exec(String(asked.headers["range"] ?? "")) ?? [];
  if (first === undefined) return { status: 200, headers: {}, body: whole, whole };
  const [start, end] = [Number(first), Math.min(whole.length, last ? Number(last) + 1 : whole.length)];
  if (start >= whole.length) return { ...json(416, {}), whole };
  const headers = { "content-range": `bytes ${start}-${end - 1}/${whole.length}` };
  return { status: 206, headers, body: whole.subarray(start, end), whole, range: { start, end } };
}

export function json(
  status: number,
  headers: Readonly<Record<string, string>>,
  value: unknown = { errors: [] },
): Reply {
  const body = Buffer.from(JSON.stringify(value));
  return { status, headers: { "content-type": "application/json", ...headers }, body, whole: body };
}
