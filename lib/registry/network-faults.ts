// The one table from what sockets and TLS report to why an operation was refused.
import { isFailure } from "../core/failure.ts";
import { Fault, TRIES } from "./fault.ts";

const RUNS = "check that it runs, and the network on the way to it";
type Meaning = readonly [words: string, help: string];
const BROKEN: Meaning = ["broke the connection off", RUNS];
const STOPPING: Meaning = ["could not be asked while the plugin stops", "ask again when it is back"];
const UNREACHED: Meaning = ["cannot be reached from this node", "check its routes and firewalls"];
const UNRESOLVED: Meaning = [
  "has a name that this node cannot resolve at the moment",
  "check the node's DNS",
];
const FORBIDDEN: Meaning = [
  "could not be asked, because this node does not let the plugin",
  "check its firewalls and network policies",
];
const NO_MEMORY: Meaning = ["could not be asked, because this node has no memory left for it", "free some"];

const TROUBLE: ReadonlyMap<string, Meaning> = new Map([
  ["ECONNREFUSED", ["refused the connection", "check that it runs and listens on that port"]],
  ["ECONNRESET", BROKEN],
  ["ECONNABORTED", BROKEN],
  ["ENOTCONN", BROKEN],
  ["ESHUTDOWN", BROKEN],
  ["EPIPE", BROKEN],
  ["UND_ERR_SOCKET", BROKEN],
  ["UND_ERR_CLOSED", STOPPING],
  ["UND_ERR_DESTROYED", STOPPING],
  ["ETIMEDOUT", ["did not answer in time", RUNS]],
  ["UND_ERR_CONNECT_TIMEOUT", ["did not take the connection in time", RUNS]],
  ["UND_ERR_HEADERS_TIMEOUT", ["took the request and did not answer in time", RUNS]],
  ["UND_ERR_BODY_TIMEOUT", ["stopped in mid-answer", RUNS]],
  ["EHOSTUNREACH", UNREACHED],
  ["EHOSTDOWN", UNREACHED],
  ["ENETUNREACH", UNREACHED],
  ["ENETDOWN", UNREACHED],
  ["EACCES", FORBIDDEN],
  ["EPERM", FORBIDDEN],
  ["ENOMEM", NO_MEMORY],
  ["ENOBUFS", NO_MEMORY],
  ["ENOTFOUND", ["has a name that this node cannot resolve", "check the name, and the node's DNS"]],
  ["EAI_AGAIN", UNRESOLVED],
  ["EAI_FAIL", UNRESOLVED],
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

const HANDSHAKE: Meaning = ["broke the TLS handshake off", "check that it speaks TLS 1.2 or later"];

/** What a dead host does, as against one that breaks off. */
const SILENT: ReadonlySet<string> = new Set([
  "ECONNREFUSED",
  "ETIMEDOUT",
  "UND_ERR_CONNECT_TIMEOUT",
  "UND_ERR_HEADERS_TIMEOUT",
  "EHOSTUNREACH",
  "EHOSTDOWN",
  "ENETUNREACH",
  "ENOTFOUND",
]);

/**
 * What else has a name that Node, its sockets or undici gave it: the network's, whatever it is. Of bugs they speak by
 * other names, such as ERR_INVALID_ARG_TYPE, UND_ERR_INVALID_ARG and UND_ERR_NOT_SUPPORTED.
 */
const NETWORKS =
  /^(E[A-Z\d]+|EAI_[A-Z]+|Unknown system error .+|ERR_(STREAM|SOCKET)_\w+|UND_ERR(_(?!INVALID_ARG$|NOT_SUPPORTED$)\w+)?)$/;

/** Among them undici's assertions, which a server sets off that answers such as `HTTP/1.1 000`. */
const NOT_HTTP = /^(HPE_|ERR_ASSERTION$|UND_ERR_(RES_|HEADERS_OVERFLOW|INVALID_RETURN|EXCEEDED))/;

const UNTRUSTED = "shows a certificate that no known authority signed";
const TRUST_HELP = 'give its authority as "ca" in the settings of this registry';

const TLS: ReadonlyMap<string, Meaning> = new Map([
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

/** Names of OpenSSL for what else is wrong with a certificate. */
const UNFIT =
  /^((CERT|CRL|UNABLE_TO|ERROR_IN)_\w+|INVALID_(CA|PURPOSE)|PATH_LENGTH_EXCEEDED|HOSTNAME_MISMATCH|OUT_OF_MEM|UNSPECIFIED)$/;

function tlsMeaning(code: string): Meaning | undefined {
  if (UNFIT.test(code)) return [`shows a certificate that does not do ("${code}")`, "renew it"];
  if (!code.startsWith("ERR_OSSL_")) return undefined;
  const help = "check the client certificate and its key in the settings of this registry";
  return [`cannot be asked over TLS ("${code}")`, help];
}

function troubleMeaning(code: string): Meaning | undefined {
  if (/^(ERR_SSL|EPROTO$|ERR_TLS)/.test(code)) return HANDSHAKE;
  return NETWORKS.test(code) ? [`could not be asked ("${code}")`, RUNS] : undefined;
}

/** The Fault for an error that came up through a socket; undefined where it is no such error. */
export function networkFault(who: string, error: unknown): Fault | undefined {
  const code = codeOf(error);
  if (code === undefined || error instanceof Fault || isFailure(error)) return undefined;
  const fault = ([words, help]: Meaning, tries: number, silent = false) =>
    new Fault("unavailable", `${who} ${words}`, { tries, help, silent, cause: error });
  const tls = TLS.get(code) ?? tlsMeaning(code);
  if (tls !== undefined) return fault(tls, TRIES.refusal);
  if (NOT_HTTP.test(code))
    return fault(["sent what is not HTTP", 'check the port, and "plainHttp"'], TRIES.nonsense);
  const trouble = TROUBLE.get(code) ?? troubleMeaning(code);
  return trouble && fault(trouble, TRIES.trouble, SILENT.has(code));
}

/** What the socket, TLS or the parser called it. Node wraps the attempts on several addresses of one name; the first stands for all. */
export function codeOf(error: unknown): string | undefined {
  if (!(error instanceof Error)) return undefined;
  if (error.name === "HTTPParserError") return "HPE_";
  if ("code" in error && typeof error.code === "string") return error.code;
  if (error instanceof AggregateError) return codeOf(error.errors[0]);
  return codeOf(error.cause);
}
