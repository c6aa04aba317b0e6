// Asks a token server for a bearer token: by GET with a password or nothing, by POST with a refresh token.
import type { Access, Credentials } from "../core/access.ts";
import type { Challenge } from "../core/challenge.ts";
import { isBearerToken } from "../core/http-header.ts";
import type { Trust } from "./endpoint.ts";
import { Fault, TRIES } from "./fault.ts";
import type { Incoming } from "./incoming.ts";
import { networkFault } from "./network-faults.ts";
import { statusFault } from "./statuses.ts";
import type { Outgoing, Transport } from "./transport.ts";

export type TokenRequest = {
  readonly challenge: Challenge;
  readonly credentials: Credentials | undefined;
  readonly access: Access;
  /** The origin that sent the challenge. */
  readonly registry: string;
  readonly trust: Trust;
  /** The token server in words. */
  readonly who: string;
};

type Token = { readonly token: string; readonly lifetimeMs: number };

const LONGEST_ANSWER_BYTES = 128 * 1024;
/** What the token specification gives a token that names no lifetime. */
const SHORTEST_LIFETIME_S = 60;

export async function fetchToken(
  deps: { readonly transport: Transport; readonly now: () => number },
  request: TokenRequest,
  signal: AbortSignal,
): Promise<Token> {
  const outgoing = outgoingFor(request);
  const incoming = await deps.transport.send(outgoing, signal).catch((error: unknown) => {
    throw networkFault(request.who, error) ?? error;
  });
  if (incoming.status === 200) return await readToken(incoming, request.who);
  await incoming.discard();
  // 400 is how OAuth2 says that a grant is not valid.
  const status = incoming.status === 400 ? 401 : incoming.status;
  const answerer = { who: request.who, access: request.access, trusted: request.credentials !== undefined };
  throw statusFault(answerer, status, { retryAfter: incoming.header("retry-after"), now: deps.now() });
}

function outgoingFor(request: TokenRequest): Outgoing {
  const { challenge, credentials, access, trust } = request;
  const url = realmOf(request);
  const fields: Record<string, string> = {
    service: challenge.parameters.get("service") ?? url.host,
    scope: challenge.parameters.get("scope") ?? `repository:${access.repository}:pull`,
  };
  if (credentials?.kind === "identity") {
    const body = new URLSearchParams({
      ...fields,
      grant_type: "refresh_token",
      client_id: "larder",
      refresh_token: credentials.token,
    });
    const headers = { "content-type": "application/x-www-form-urlencoded" };
    return { method: "POST", url, headers, body: body.toString(), trust };
  }
  for (const [name, value] of Object.entries(fields)) url.searchParams.set(name, value);
  if (credentials?.kind !== "basic") return { method: "GET", url, headers: {}, trust };
  url.searchParams.set("account", credentials.username);
  return { method: "GET", url, headers: { authorization: formatBasic(credentials) }, trust };
}

/** A registry that is asked over TLS cannot have the credentials sent in the clear. */
function realmOf({ challenge, credentials, registry, who }: TokenRequest): URL {
  const realm = challenge.parameters.get("realm") ?? "";
  const refuse = (why: string) =>
    new Fault(
      "unavailable",
      `${who} cannot be asked: the registry names it as "${realm.slice(0, 200)}", ${why}`,
      {
        tries: TRIES.refusal,
        help: "tell the registry's administrator",
      },
    );
  const url = URL.parse(realm);
  if (url === null || (url.protocol !== "https:" && url.protocol !== "http:"))
    throw refuse("which is not an address");
  if (url.protocol === "http:" && registry.startsWith("https:") && credentials !== undefined)
    throw refuse("and credentials would travel in the clear");
  url.username = "";
  url.password = "";
  return url;
}

export function formatBasic({ username, password }: { username: string; password: string }): string {
  return `Basic ${Buffer.from(`${username}:${password}`).toString("base64")}`;
}

async function readToken(incoming: Incoming, who: string): Promise<Token> {
  const text = (
    await incoming.bytes(LONGEST_ANSWER_BYTES).catch((error: unknown) => {
      throw networkFault(who, error) ?? error;
    })
  )?.toString();
  const answer = parseAnswer(text ?? "");
  const token = answer?.["token"] ?? answer?.["access_token"];
  if (typeof token !== "string" || !isBearerToken(token))
    throw new Fault("unavailable", `${who} answered 200 without a token`, { tries: TRIES.nonsense });
  const seconds = Number(answer?.["expires_in"]);
  return { token, lifetimeMs: Math.max(SHORTEST_LIFETIME_S, seconds > 0 ? seconds : 0) * 1000 };
}

function parseAnswer(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null ? { ...value } : undefined;
  } catch {
    return undefined;
  }
}
