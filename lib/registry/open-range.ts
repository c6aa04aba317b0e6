// Asks one host for bytes of a blob, and lets no answer through that is about other bytes.
import { parseContentRange } from "../core/content-range.ts";
import type { Range } from "../core/ranges.ts";
import { type Answer, type AskDeps, ask, refusalOf } from "./ask.ts";
import { Fault, MEND_THERE, TRIES } from "./fault.ts";
import type { WantedBlob } from "./reader.ts";
import type { Received } from "./received.ts";
import type { Party } from "./tokens.ts";

/** One host for one blob, and what was learnt of it on the way. */
export type Route = {
  readonly party: Party;
  /** Where the registry keeps the bytes, once it said so; asked again when that address refuses. */
  storage?: URL | undefined;
  faults: number;
};

/** The bytes from `start` up to `end` follow, and nothing else. */
export type Opened = Answer<Received> & Range;

/** 206 brings the range, 200 the whole blob. Faults for all else. */
export async function openRange(
  deps: AskDeps<Received>,
  wanted: { readonly route: Route; readonly blob: WantedBlob; readonly range: Range },
  signal: AbortSignal,
): Promise<Opened> {
  const { route, blob, range } = wanted;
  const answer = await askRoute(deps, wanted, signal);
  const { status } = answer.incoming;
  if (status !== 200 && status !== 206) throw await refusalOf(deps, route.party, answer);
  if (answer.url.origin !== route.party.endpoint.origin) route.storage = answer.url;
  const carried =
    status === 206 ? parseContentRange(answer.incoming.header("content-range") ?? "") : undefined;
  const promised = status === 206 ? range : { start: 0, end: blob.size };
  const fault = faultOf(answer, { blob, promised, carried });
  if (fault === undefined) return { ...answer, ...promised };
  answer.incoming.abort(fault);
  throw fault;
}

/**
 * An address of storage that was remembered may have expired: any refusal of it sends us back to the registry, once.
 * One in trouble is not asked again either: the registry may know of another.
 */
async function askRoute(
  deps: AskDeps<Received>,
  { route, blob, range }: { route: Route; blob: WantedBlob; range: Range },
  signal: AbortSignal,
): Promise<Answer<Received>> {
  const question = {
    party: route.party,
    method: "GET" as const,
    path: `blobs/${blob.digest}`,
    headers: { range: `bytes=${range.start}-${range.end - 1}` },
  };
  const at = route.storage;
  if (at === undefined) return await ask(deps, question, signal);
  const forget = () => {
    if (route.storage === at) route.storage = undefined;
  };
  const answer = await ask(deps, { ...question, at }, signal).catch((error: unknown) => {
    forget();
    throw error;
  });
  const { status } = answer.incoming;
  if (status === 200 || status === 206) return answer;
  forget();
  if (status === 429 || status >= 500) return answer;
  await answer.incoming.discard();
  return await ask(deps, question, signal);
}

type Claims = {
  readonly blob: WantedBlob;
  readonly promised: Range;
  readonly carried: ReturnType<typeof parseContentRange>;
};

function faultOf(
  { incoming, who }: Answer<Received>,
  { blob, promised, carried }: Claims,
): Fault | undefined {
  const nonsense = (why: string) =>
    new Fault("corrupt", `${who} ${why}`, { tries: TRIES.nonsense, help: MEND_THERE });
  const asked = `${promised.start}-${promised.end - 1}`;
  if (incoming.status === 206 && (carried?.start !== promised.start || carried.end !== promised.end))
    return nonsense(
      `answered the bytes "${incoming.header("content-range") ?? ""}" to a request for ${asked}`,
    );
  if (carried?.size !== undefined && carried.size !== blob.size)
    return nonsense(`holds ${carried.size} bytes where the manifest says ${blob.size}`);
  const encoding = incoming.header("content-encoding") ?? "identity";
  if (encoding !== "identity") return nonsense(`sent it encoded as "${encoding}", which was not asked for`);
  const length = incoming.header("content-length");
  if (length !== undefined && Number(length) !== promised.end - promised.start)
    return nonsense(`promises ${length} bytes where ${promised.end - promised.start} were due`);
  return undefined;
}
