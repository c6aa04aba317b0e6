// The one table from what sockets and TLS report to why an operation was refused.
import { Fault, TRIES } from "./fault.ts";

const RUNS = "check that it runs, and the network on the way to it";
const BROKEN: readonly [words: string, help: string] = ["broke the connection off", RUNS];
const STOPPING: readonly [words: string, help: string] = [
  "could not be asked while the plugin stops",
  "ask again when it is back",
];

const TROUBLE: ReadonlyMap<string, readonly [words: string, help: string]> = new Map([
  ["ECONNREFUSED", ["refused the connection", "check that it runs and listens on that port"]],
  ["ECONNRESET", BROKEN],
  ["EPIPE", BROKEN],
  ["UND_ERR_SOCKET", BROKEN],
  ["UND_ERR_CLOSED", STOPPING],
  ["UND_ERR_DESTROYED", STOPPING],
  ["ETIMEDOUT", ["did not answer in time", RUNS]],
  ["UND_ERR_CONNECT_TIMEOUT", ["did not take the connection in time", RUNS]],
  ["UND_ERR_HEADERS_TIMEOUT", ["took the request and did not answer in time", RUNS]],
  ["UND_ERR_BODY_TIMEOUT", ["stopped in mid-answer", RUNS]],
  ["EHOSTUNREACH", ["cannot be reached from this node", "check its routes and firewalls"]],
  ["ENETUNREACH", ["cannot be reached from this node", "check its routes and firewalls"]],
  ["ENOTFOUND", ["has a name that this node cannot resolve", "check the name, and the node's DNS"]],
  ["EAI_AGAIN", ["has a name that this node cannot resolve at the moment", "check the node's DNS"]],
  [
    "EMFILE",
    ["could not be asked, because the plugin has no file descriptors left", "raise its limit on open files"],
  ],
  ["ENFILE", ["could not be asked, because this node has no file descriptors left", "raise fs.file-max"]],
  [
    "EADDRNOTAVAIL",
    ["could not be asked, because this node has no ports left", "widen net.ipv4.ip_local_port_range"],
  ],
]);

const HANDSHAKE = ["broke the TLS handshake off", "check that it speaks TLS 1.2 or later"] as const;

/** What a dead host does, as against one that breaks off. */
const SILENT: ReadonlySet<string> = new Set([
  "ECONNREFUSED",
  "ETIMEDOUT",
  "UND_ERR_CONNECT_TIMEOUT",
  "UND_ERR_HEADERS_TIMEOUT",
  "EHOSTUNREACH",
  "ENETUNREACH",
  "ENOTFOUND",
]);

const UNTRUSTED = "shows a certificate that no known authority signed";
const TRUST_HELP = 'give its authority as "ca" in the settings of this registry';

const TLS: ReadonlyMap<string, readonly [words: string, help: string]> = new Map([
  ["DEPTH_ZERO_SELF_SIGNED_CERT", [UNTRUSTED, TRUST_HELP]],
  ["SELF_SIGNED_CERT_IN_CHAIN", [UNTRUSTED, TRUST_HELP]],
  ["UNABLE_TO_VERIFY_LEAF_SIGNATURE", [UNTRUSTED, TRUST_HELP]],
  ["UNABLE_TO_GET_ISSUER_CERT", [UNTRUSTED, TRUST_HELP]],
  ["UNABLE_TO_GET_ISSUER_CERT_LOCALLY", [UNTRUSTED, TRUST_HELP]],
  ["CERT_SIGNATURE_FAILURE", [UNTRUSTED, TRUST_HELP]],
  ["CERT_HAS_EXPIRED", ["shows a certificate that has expired", "renew it, or set this node's clock"]],
  ["CERT_NOT_YET_VALID", ["shows a certificate that is not valid yet", "set this node's clock"]],
  ["CERT_REVOKED", ["shows a certificate that was revoked", "renew it"]],
  [
    "ERR_TLS_CERT_ALTNAME_INVALID",
    ["shows a certificate of another host", "use the name the certificate is for"],
  ],
  [
    "ERR_SSL_WRONG_VERSION_NUMBER",
    ["does not speak TLS", 'allow plain HTTP for it ("plainHttp") if that is meant'],
  ],
  [
    "ERR_SSL_PACKET_LENGTH_TOO_LONG",
    ["does not speak TLS", 'allow plain HTTP for it ("plainHttp") if that is meant'],
  ],
]);

/** The Fault for an error that came up through a socket; undefined where it is no such error. */
export function networkFault(who: string, error: unknown): Fault | undefined {
  const code = codeOf(error);
  if (code === undefined) return undefined;
  const tls = TLS.get(code);
  if (tls !== undefined)
    return new Fault("unavailable", `${who} ${tls[0]}`, {
      tries: TRIES.refusal,
      help: tls[1],
      cause: error,
    });
  if (/^(HPE_|UND_ERR_(RES_|HEADERS_OVERFLOW|INVALID_RETURN|EXCEEDED))/.test(code))
    return new Fault("unavailable", `${who} sent what is not HTTP`, {
      tries: TRIES.nonsense,
      help: 'check the port, and "plainHttp"',
      cause: error,
    });
  const trouble = TROUBLE.get(code) ?? (/^(ERR_SSL|EPROTO|ERR_TLS)/.test(code) ? HANDSHAKE : undefined);
  if (trouble === undefined) return undefined;
  return new Fault("unavailable", `${who} ${trouble[0]}`, {
    tries: TRIES.trouble,
    help: trouble[1],
    silent: SILENT.has(code),
    cause: error,
  });
}

/** What the socket, TLS or the parser called it. Node wraps the attempts on several addresses of one name; the first stands for all. */
export function codeOf(error: unknown): string | undefined {
  if (!(error instanceof Error)) return undefined;
  if (error.name === "HTTPParserError") return "HPE_";
  if ("code" in error && typeof error.code === "string") return error.code;
  if (error instanceof AggregateError) return codeOf(error.errors[0]);
  return codeOf(error.cause);
}
