// A server that fails in one way per repository: a row of answers, or a connection that breaks.
import http from "node:http";

const manifestType = "application/vnd.oci.image.manifest.v1+json";
const body = (code: string, message: string) => JSON.stringify({ errors: [{ code, message }] });

/** What the repository of that name answers to everything; with `put-` before the name, only to what writes. */
const answers: Readonly<
  Record<string, readonly [status: number, body: string, headers?: http.OutgoingHttpHeaders]>
> = {
  "bare-400": [400, ""],
  "bare-401": [401, ""],
  "bare-403": [403, ""],
  "bare-404": [404, ""],
  "bare-405": [405, ""],
  "bare-409": [409, ""],
  "bare-412": [412, ""],
  "bare-413": [413, ""],
  "bare-429": [429, ""],
  "bare-500": [500, ""],
  "bare-502": [502, "<html>Bad Gateway</html>"],
  "bare-503": [503, ""],
  "bare-504": [504, ""],
  "json-403": [403, body("DENIED", "requested access to the resource is denied")],
  "json-404": [404, body("NAME_UNKNOWN", "repository name not known to registry")],
  "json-405": [405, body("UNSUPPORTED", "The operation is unsupported.")],
  "json-412": [412, body("PRECONDITION", "Failed to process request due to 'a:v1' configured as immutable.")],
  "json-immutable": [
    400,
    body("TAG_INVALID", "The image tag 'v1' cannot be overwritten because the repository is immutable."),
  ],
  "json-quota": [
    403,
    body(
      "DENIED",
      "adding 1 MiB of storage resource, which when updated to current usage of 9 MiB will exceed the configured upper limit of 9 MiB.",
    ),
  ],
  "json-413": [413, body("SIZE_INVALID", "payload is too large")],
  "json-429": [429, body("TOOMANYREQUESTS", "too many requests"), { "retry-after": "1" }],
  "json-500": [500, body("UNKNOWN", "unknown error")],
  "json-503": [503, body("UNAVAILABLE", "service unavailable")],
  "not-json": [200, "not json", { "content-type": manifestType }],
  "no-type": [200, "{}", { "content-type": "" }],
  huge: [200, " ".repeat(5 * 1024 * 1024), { "content-type": manifestType }],
  bearer: [401, "", { "www-authenticate": 'Bearer realm="http://HOST/token-403",service="s",scope="r"' }],
  "bearer-500": [
    401,
    "",
    { "www-authenticate": 'Bearer realm="http://HOST/token-500",service="s",scope="r"' },
  ],
};

function answerOf(repository: string, method: string) {
  const reads = repository.startsWith("put-") && ["GET", "HEAD"].includes(method);
  return (reads ? undefined : answers[repository.replace(/^put-/, "")]) ?? ([404, ""] as const);
}

export const failingServer = http.createServer((request, response) => {
  const token = /^\/token-(\d+)/.exec(request.url ?? "")?.[1];
  const repository = /^\/v2\/([^/]+)\//.exec(request.url ?? "")?.[1] ?? "";
  if (repository === "cut") return void request.socket.destroy();
  if (repository === "short") {
    response.writeHead(200, {
      "content-length": 100,
      "content-type": manifestType,
      "docker-content-digest": `sha256:${"a".repeat(64)}`,
    });
    return void (request.method === "HEAD" ? response.end() : response.write("{", () => response.destroy()));
  }
  const [status, text, headers] =
    token === undefined ? answerOf(repository, request.method ?? "") : ([Number(token), ""] as const);
  const host = String(request.headers.host);
  const sent = Object.entries(headers ?? {}).map(([name, value]) => [
    name,
    String(value).replace("HOST", host),
  ]);
  response.writeHead(status, { "content-length": Buffer.byteLength(text), ...Object.fromEntries(sent) });
  return void response.end(text);
});
