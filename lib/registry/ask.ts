// Asks one host one thing: with the right Authorization, and through whatever redirects it names.
import { untilAborted } from "../core/until-aborted.ts";
import { type Endpoint, formatEndpoint } from "./endpoint.ts";
import { Fault, TRIES } from "./fault.ts";
import type { Incoming, Reply } from "./incoming.ts";
import { networkFault } from "./network-faults.ts";
import { statusFault } from "./statuses.ts";
import { credentialsFor, type Party, type Tokens } from "./tokens.ts";
import type { Sender } from "./transport.ts";

/** `R`: what its questions get back. */
export type AskDeps<R extends Reply = Incoming> = {
  readonly transport: Sender<R>;
  readonly tokens: Tokens;
  readonly now: () => number;
};

export type Question = {
  readonly party: Party;
  readonly method: "GET" | "HEAD";
  /** What of the repository: `manifests/v1`, `blobs/sha256:…`. */
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  /** Where an earlier redirect led: asked at once, with nothing of the registry's. */
  readonly at?: URL | undefined;
};

/** An answer, and who gave it. */
export type Answer<R extends Reply = Incoming> = {
  readonly incoming: R;
  readonly url: URL;
  readonly who: string;
};

const MOST_REDIRECTS = 5;
const REDIRECTS: ReadonlySet<number> = new Set([301, 302, 303, 307, 308]);

/** The answer, whatever its status, but for redirects and a 401 that a token of its own turns. Faults: the network's, the token server's. */
export async function ask<R extends Reply>(
  deps: AskDeps<R>,
  question: Question,
  signal: AbortSignal,
): Promise<Answer<R>> {
  const { party } = question;
  if (question.at !== undefined) return await send(deps, question, { url: question.at, signal });
  const url = addressOf(question);
  // A request for a token belongs to all who wait for it: one who goes away leaves it flying.
  let authorization = await untilAborted(deps.tokens.authorization(party), signal);
  for (let isNew = false; ; ) {
    const answer = await follow(deps, question, { url, authorization, signal });
    const { incoming } = answer;
    if (isNew || incoming.status !== 401 || answer.url.origin !== party.endpoint.origin) return answer;
    const challenge = incoming.header("www-authenticate") ?? "";
    const better = await untilAborted(deps.tokens.answer(party, challenge, authorization), signal);
    if (better === undefined) return answer;
    await incoming.discard();
    authorization = better.header;
    isNew = better.isNew;
  }
}

/** The Fault for an answer whose status is not what was hoped for; its body is let go. */
export async function refusalOf(
  deps: Pick<AskDeps, "now">,
  party: Party,
  answer: Answer<Reply>,
): Promise<Fault> {
  const { incoming, url, who } = answer;
  await incoming.discard();
  const trusted = url.origin === party.endpoint.origin && credentialsFor(party) !== undefined;
  const headers = { retryAfter: incoming.header("retry-after"), now: deps.now() };
  return statusFault({ who, access: party.access, trusted }, incoming.status, headers);
}

type Way = { readonly url: URL; readonly authorization?: string | undefined; readonly signal: AbortSignal };

async function follow<R extends Reply>(deps: AskDeps<R>, question: Question, way: Way): Promise<Answer<R>> {
  const seen = new Set<string>();
  for (let { url } = way; ; ) {
    const answer = await send(deps, question, { ...way, url });
    if (!REDIRECTS.has(answer.incoming.status)) return answer;
    await answer.incoming.discard();
    seen.add(url.href);
    const next = URL.parse(answer.incoming.header("location") ?? "", url);
    const known = next !== null && (next.protocol === "https:" || next.protocol === "http:");
    if (!known || seen.has(next.href) || seen.size > MOST_REDIRECTS)
      throw new Fault(
        "unavailable",
        `${answer.who} redirects ${known ? "in a circle" : "to no address"} (${url.host} answered ${answer.incoming.status})`,
        { tries: TRIES.nonsense, help: "tell the registry's administrator" },
      );
    url = next;
  }
}

async function send<R extends Reply>(deps: AskDeps<R>, question: Question, way: Way): Promise<Answer<R>> {
  const { endpoint } = question.party;
  const home = way.url.origin === endpoint.origin;
  const who = home
    ? formatEndpoint(endpoint)
    : `the storage "${way.url.host}", to which ${formatEndpoint(endpoint)} redirected,`;
  const headers = {
    ...question.headers,
    ...(home ? endpoint.headers : {}),
    ...(home && way.authorization !== undefined ? { authorization: way.authorization } : {}),
  };
  const outgoing = { method: question.method, url: way.url, headers, trust: endpoint.trust };
  const incoming = await deps.transport.send(outgoing, way.signal).catch((error: unknown) => {
    way.signal.throwIfAborted();
    throw networkFault(who, error) ?? error;
  });
  return { incoming, url: way.url, who };
}

function addressOf({ party: { endpoint, access }, path }: Question): URL {
  const url = new URL(`${endpoint.origin}${endpoint.prefix}/${access.repository}/${path}`);
  if (endpoint.namespace !== undefined) url.searchParams.set("ns", endpoint.namespace);
  return url;
}

/** Whether the endpoint answers HTTP at all, within the time a mirror may cost. */
export async function isAlive(deps: AskDeps, endpoint: Endpoint, signal: AbortSignal): Promise<boolean> {
  const url = new URL(`${endpoint.origin}${endpoint.prefix}/`);
  const { headers, trust } = endpoint;
  const incoming = await deps.transport
    .send({ method: "GET", url, headers, trust }, signal)
    .catch(() => undefined);
  await incoming?.discard();
  return incoming !== undefined;
}
