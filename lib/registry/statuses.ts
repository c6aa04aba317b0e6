// The one table from what HTTP answers to why an operation was refused.
import type { Access } from "../core/access.ts";
import type { Reason } from "../core/failure.ts";
import { parseRetryAfter } from "../core/retry.ts";
import { Fault, TRIES } from "./fault.ts";

type Row = { readonly reason: Reason; readonly tries: number; readonly help?: string };

const REFUSED = (reason: Reason, help: string): Row => ({ reason, tries: TRIES.refusal, help });
const TROUBLE = (help: string): Row => ({ reason: "unavailable", tries: TRIES.trouble, help });
const AILING = "try again later, or tell the registry's administrator";

const ROWS: ReadonlyMap<number, Row> = new Map([
  [400, REFUSED("invalid", "check the repository and the tag")],
  [401, REFUSED("denied", "give credentials that may pull it")],
  [403, REFUSED("denied", "ask for the right to pull it")],
  [404, REFUSED("not-found", "check the name, the tag and whether it was deleted")],
  [405, REFUSED("unsupported", "check that the host is a registry")],
  [407, REFUSED("denied", "a proxy on the way asks for credentials of its own")],
  [408, TROUBLE(AILING)],
  [410, REFUSED("not-found", "it was deleted")],
  [413, REFUSED("unsupported", "a proxy before the registry may limit sizes; ask its administrator")],
  [
    416,
    {
      reason: "corrupt",
      tries: TRIES.nonsense,
      help: "the registry holds fewer bytes than the manifest says; push the artifact again",
    },
  ],
  [425, TROUBLE(AILING)],
  [429, TROUBLE("its limit on requests is reached; credentials or a mirror may raise it")],
  [451, REFUSED("denied", "it may not be served for legal reasons")],
]);

/** Which server answered, and what it was asked with. */
export type Answerer = {
  /** In words: `the registry`, `the mirror "m.example"`. */
  readonly who: string;
  readonly access: Access;
  /** Whether the credentials of `access` are this server's business. */
  readonly trusted: boolean;
};

/** The Fault for a status that is not the one that was hoped for. */
export function statusFault(answerer: Answerer, status: number, headers: StatusHeaders): Fault {
  const row: Row =
    ROWS.get(status) ??
    (status >= 500 ? TROUBLE(AILING) : REFUSED("unsupported", "check that the host is a registry"));
  const header = headers.retryAfter;
  return new Fault(row.reason, `${answerer.who} answered ${status} for it${withWhat(answerer, status)}`, {
    tries: row.tries,
    help: row.help,
    retryAfterMs: header === undefined ? undefined : parseRetryAfter(header, headers.now),
  });
}

export type StatusHeaders = { readonly retryAfter?: string | undefined; readonly now: number };

function withWhat({ access, trusted }: Answerer, status: number): string {
  if (status !== 401 && status !== 403 && status !== 404) return "";
  if (!trusted || access.credentials === undefined) return " without credentials";
  return ` with the ${access.origin ?? "credentials given"}`;
}
