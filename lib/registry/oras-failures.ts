// What the ORAS CLI 1.3.3 says when it fails, and the Reason each way of saying it stands for.
import { Failure, type Reason } from "../core/failure.ts";

/** What was tried, for the message: never a command line. */
export type Trial = {
  /** `push registry.example/a/b:v1`, so that "Cannot " before it makes a sentence. */
  readonly action: string;
  /** Where the credentials for each target came from, to stand after "the"; undefined where there were none. */
  readonly origins: ReadonlyArray<string | undefined>;
  /** What must appear nowhere, even if the registry sends it back. */
  readonly secrets: readonly string[];
};

type Row = readonly [pattern: RegExp, reason: Reason, words: (origin: string | undefined) => string];

const say = (words: string) => () => words;

const refusal = (origin: string | undefined) =>
  origin === undefined
    ? "the registry wants credentials for it; name a pull secret that has them"
    : `the registry refused it with the ${origin}; check that it is right and may do this`;

const busyRegistry = say("the registry answers that there are too many requests; it is tried again later");
const brokenRegistry = say("the registry failed; it is tried again later");
const missing = say("the registry does not have it; check its name, tag or digest");
const tooLarge = say("the registry refuses it for its size; raise the limit there, or make it smaller");
const notSupported = say("the registry does not support or allow this; allow it there");
const malformed = say("the registry or ORAS found the manifest malformed; push the artifact again");
const immutable = say("the registry lets no tag be moved there; allow that, or use another tag");
const overQuota = say("the quota at the registry is used up; raise it, or delete versions there");
const unreachable = say("the registry could not be reached; check its name, the network and the proxy");

/** First match wins. Where the registry explained itself in JSON, ORAS drops the status and prints the code in words. */
const rows: readonly Row[] = [
  [/exceed the configured upper limit/, "full", overQuota],
  [/(?:is|are|configured as) immutable\b|response status code (?:409|412)\b/, "conflict", immutable],
  [/basic credential not found/, "denied", refusal],
  [/response status code 40[13]\b/, "denied", refusal],
  [/response status code 404\b/, "not-found", missing],
  [/response status code 405\b/, "unsupported", notSupported],
  [/response status code 413\b/, "out-of-range", tooLarge],
  [/response status code 429\b/, "unavailable", busyRegistry],
  [/response status code (?:408|5\d\d)\b/, "unavailable", brokenRegistry],
  [/response status code 4\d\d\b/, "invalid", say("the registry refused the request as wrong")],
  [/: not found: no matching manifest/, "not-found", say("it has no manifest for this platform")],
  [/: (?:unauthorized|denied)(?:: |$)/m, "denied", refusal],
  [/: toomanyrequests(?:: |$)/m, "unavailable", busyRegistry],
  [/: (?:name|manifest|blob) unknown(?:: |$)/m, "not-found", missing],
  [
    /: manifest blob unknown(?:: |$)/m,
    "not-found",
    say("the registry lacks a blob that the manifest names; push it first"),
  ],
  [/: unsupported(?:: |$)/m, "unsupported", notSupported],
  [/: size invalid(?:: |$)/m, "out-of-range", tooLarge],
  [/: digest invalid(?:: |$)/m, "corrupt", say("the bytes do not have the digest they were sent under")],
  [/: manifest invalid(?:: |$)|unrecognized manifest schema|not a valid json file/m, "invalid", malformed],
  [/: (?:unknown|unavailable|internal error)(?:: |$)/m, "unavailable", brokenRegistry],
  [
    /x509: /,
    "unavailable",
    say("the registry's certificate is not trusted; set its `ca` in the node's settings, or renew it"),
  ],
  [
    /server gave HTTP response to HTTPS client/,
    "unavailable",
    say("the registry does not speak TLS; set `plainHttp` for it"),
  ],
  [/no space left on device|disk quota exceeded/, "full", say("the disk is full; make room on the node")],
  [
    /mismatched? digest|digest mismatch|failed verification|does not match the digest/i,
    "corrupt",
    say("the registry sent bytes of another digest; push the artifact again"),
  ],
  [
    /size exceeds limit/,
    "out-of-range",
    say("its manifest is larger than the 4 MiB ORAS takes; split the artifact"),
  ],
  [
    /timeout|connection refused|connection reset|no such host|no route to host|network is unreachable/i,
    "unavailable",
    unreachable,
  ],
  [/\bEOF$/m, "unavailable", say("the registry cut the connection; it is tried again later")],
  [/with Body length/, "invalid", say("it has another size than was stated")],
  [
    /invalid reference|no (?:tag or )?digest specified/,
    "invalid",
    say("the reference is malformed; write host/repository:tag or host/repository@sha256:…"),
  ],
  [/invalid response `Content-Type` header|invalid character|cannot unmarshal/, "invalid", malformed],
  [
    /missing required header/,
    "unavailable",
    say("the registry's answer lacks a header that the specification demands"),
  ],
  [/duplicate name/, "invalid", say("two files have the same title; give each its own")],
  [
    /absolute file path detected/,
    "invalid",
    say("a file's path is absolute; name it relative to the directory pushed from"),
  ],
  [
    /path traversal/,
    "invalid",
    say("a title in it leads out of the directory; push the artifact with plain names"),
  ],
  [/overwrite disallowed/, "conflict", say("a file is there already")],
  [
    /failed to open OCI layout file|failed to find path/,
    "not-found",
    say("there is no OCI layout at that path"),
  ],
  [/no such file or directory|not a directory/, "invalid", say("a file or directory it needs is not there")],
  [/does not exist|: not found$/m, "not-found", missing],
];

/** The Failure for a program that ended badly. What ORAS said is its cause, without secrets and without signed URLs. */
export function orasFailure(
  ended: {
    readonly exitCode: number | undefined;
    readonly signal: string | undefined;
    readonly stderrTail: string;
  },
  trial: Trial,
): Failure {
  const said = scrub(ended.stderrTail, trial.secrets);
  const cause = new Error(said);
  if (ended.signal !== undefined) {
    return new Failure("unavailable", `Cannot ${trial.action}: ORAS was ended by ${ended.signal}`, { cause });
  }
  const row = rows.find(([pattern]) => pattern.test(said));
  if (row !== undefined)
    return new Failure(row[1], `Cannot ${trial.action}: ${row[2](originOf(said, trial))}`, { cause });
  return new Failure("unavailable", `Cannot ${trial.action}: ORAS says "${firstLine(said)}"`, { cause });
}

/** `cp` says which of its two registries it was. */
function originOf(said: string, { origins }: Trial): string | undefined {
  return origins[said.startsWith("Error from destination registry") ? 1 : 0];
}

function scrub(text: string, secrets: readonly string[]): string {
  // A query may be a signature that opens the storage behind the registry for whoever reads it.
  const unsigned = text.replace(/(https?:\/\/[^\s"?]+)\?[^\s"]*/g, "$1?…");
  return secrets
    .filter((secret) => secret !== "")
    .reduce((seen, secret) => seen.replaceAll(secret, "…"), unsigned)
    .trim();
}

function firstLine(text: string): string {
  return (/^(?:Error[^:]*: )?(.*)$/m.exec(text)?.[1] ?? "").slice(0, 300);
}
