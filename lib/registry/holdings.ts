// What one host says it holds of a blob, and whether it does.
import { parseContentRange } from "../core/content-range.ts";
import { type Answer, type AskDeps, ask, refusalOf } from "./ask.ts";
import { networkFault } from "./network-faults.ts";
import type { Party } from "./tokens.ts";
import type { BlobName, Held } from "./upstream.ts";

type Asked = { readonly party: Party; readonly blob: BlobName };

/** By HEAD for its size, and by GET for its last byte: the index of a registry and its storage may differ. */
export async function heldAt(deps: AskDeps, asked: Asked, signal: AbortSignal): Promise<Held> {
  const bySize = await heldBySize(deps, asked, signal);
  return bySize === "whole" && asked.blob.size > 0 ? await heldByLastByte(deps, asked, signal) : bySize;
}

async function heldBySize(deps: AskDeps, { party, blob }: Asked, signal: AbortSignal): Promise<Held> {
  const question = { party, method: "HEAD", path: `blobs/${blob.digest}`, headers: {} } as const;
  const answer = await ask(deps, question, signal);
  const { incoming } = answer;
  if (![200, 404, 405].includes(incoming.status)) throw await refusalOf(deps, party, answer);
  await incoming.discard();
  if (incoming.status === 404) return "none";
  const length = incoming.header("content-length");
  const isOther = incoming.status === 200 && length !== undefined && Number(length) !== blob.size;
  return isOther ? "broken" : "whole";
}

async function heldByLastByte(deps: AskDeps, { party, blob }: Asked, signal: AbortSignal): Promise<Held> {
  const headers = { range: `bytes=${blob.size - 1}-${blob.size - 1}` };
  const path = `blobs/${blob.digest}`;
  const answer = await ask(deps, { party, method: "GET", path, headers }, signal);
  const { incoming, who } = answer;
  const { status } = incoming;
  if (![200, 206, 404, 416].includes(status)) throw await refusalOf(deps, party, answer);
  try {
    if (status === 404) return "none";
    if (status === 416 || !isWholeBy(answer, blob)) return "broken";
    const comes = await incoming.hasBytes().catch((error: unknown) => {
      throw networkFault(who, error) ?? error;
    });
    return comes ? "whole" : "broken";
  } finally {
    incoming.abort(new Error("not wanted any more"));
  }
}

function isWholeBy({ incoming }: Answer, { size }: BlobName): boolean {
  const length = incoming.header("content-length");
  if (incoming.status === 200) return length === undefined || Number(length) === size;
  const carried = parseContentRange(incoming.header("content-range") ?? "");
  return carried?.end === size && (carried.size ?? size) === size;
}
