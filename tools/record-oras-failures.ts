// Records how the pinned ORAS CLI words its failures, from servers that really fail so: what lib/registry/oras-failures.ts is tested with.
// Usage: npm run -s node -- tools/record-oras-failures.ts   (rewrites lib/registry/testing/oras-failures.json)
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import https from "node:https";
import net from "node:net";
import os from "node:os";
import path from "node:path";
import { openProcesses } from "../lib/host/processes.linux.ts";
import { makeCertificate } from "../lib/registry/testing/certificate.ts";
import { openRealRegistry } from "../testing/real-registry.ts";
import { tool } from "../testing/tool.ts";
import { failingServer as misbehaving } from "./failing-server.ts";
import { type Row, rowsOf } from "./oras-failure-rows.ts";

const folder = mkdtempSync(path.join(os.tmpdir(), "larder-record-"));
const oras = await tool("oras");

function listen(server: net.Server): Promise<string> {
  return new Promise((resolve) =>
    server.listen(0, "127.0.0.1", () => resolve(`127.0.0.1:${(server.address() as net.AddressInfo).port}`)),
  );
}

const silent = net.createServer(() => {});
const closed = net.createServer();
const authority = {
  untrusted: makeCertificate(folder, "untrusted"),
  expired: makeCertificate(folder, "expired", { from: "20200101000000Z", to: "20200102000000Z" }),
};
const [untrusted, expired] = [authority.untrusted, authority.expired].map((certificate) =>
  https.createServer({ ...certificate }, (_request, response) => void response.writeHead(404).end()),
) as [https.Server, https.Server];

await using open = await openRealRegistry();
await using locked = await openRealRegistry({ password: true });
const hosts = {
  "registry.example": open.host,
  "locked.example": locked.host,
  "misbehaving.example": await listen(misbehaving),
  "silent.example": await listen(silent),
  "closed.example": await listen(closed),
  "untrusted.example": await listen(untrusted),
  "expired.example": await listen(expired),
} as const;
await new Promise((resolve) => closed.close(resolve));

writeFileSync(path.join(folder, "file.txt"), "file");
writeFileSync(path.join(folder, "taken"), "a file where a directory should be");
mkdirSync(path.join(folder, "layout"));
const setUp = await openProcesses().run({
  program: oras,
  args: ["push", "--plain-http", `${open.host}/a/b:v1`, "file.txt"],
  env: { HOME: folder },
  cwd: folder,
});
if (setUp.exitCode !== 0) throw new Error(setUp.stderrTail);
const digestOfFile = "sha256:3b9c358f36f0a31b6ad3e14f309c7cf198ac9246e8316f9ce543d5b19ac02b80";
const empty = "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a";
const traversal = {
  schemaVersion: 2,
  mediaType: "application/vnd.oci.image.manifest.v1+json",
  config: { mediaType: "application/vnd.oci.empty.v1+json", digest: empty, size: 2 },
  layers: [
    {
      mediaType: "text/plain",
      digest: digestOfFile,
      size: 4,
      annotations: { "org.opencontainers.image.title": "../outside" },
    },
  ],
};
const noPlatform = { schemaVersion: 2, mediaType: "application/vnd.oci.image.index.v1+json", manifests: [] };
for (const [name, manifest] of [
  ["a/b:traversal", traversal],
  ["a/index:v1", noPlatform],
] as const) {
  const pushed = await openProcesses().run({
    program: oras,
    args: ["manifest", "push", "--plain-http", `${open.host}/${name}`, "-"],
    env: { HOME: folder },
    stdin: JSON.stringify(manifest),
  });
  if (pushed.exitCode !== 0) throw new Error(pushed.stderrTail);
}

function anonymise(text: string): string {
  const names = Object.entries(hosts).reduce((seen, [name, host]) => seen.replaceAll(host, name), text);
  return names
    .replaceAll(folder, "/folder")
    .replace(/127\.0\.0\.1:\d+/g, "192.0.2.1:40000")
    .replace(/ on [\d.:[\]a-f]+: no such host/g, ": no such host")
    .replace(/(uploads\/)[\w-]+\?_state=[\w%=-]+/g, "$1UPLOAD?_state=STATE");
}

async function recordRow({ name, args, stdin, auth }: Row): Promise<object> {
  const words = ["manifest", "blob", "repo"].includes(args[0] ?? "") ? 2 : 1;
  const credentials = args[0] === "cp" ? [] : ["--registry-config", "/dev/fd/3"];
  const result = await openProcesses().run({
    program: oras,
    args: [...args.slice(0, words), ...credentials, ...args.slice(words)],
    env: { HOME: folder },
    cwd: folder,
    descriptors: [Buffer.from(JSON.stringify({ auths: auth ?? {} }))],
    ...(stdin === undefined ? {} : { stdin }),
  });
  return { name, exitCode: result.exitCode, stderr: anonymise(result.stderrTail) };
}

try {
  const recorded = await Promise.all(rowsOf(hosts, folder).map(recordRow));
  const file = path.join(import.meta.dirname, "../lib/registry/testing/oras-failures.json");
  writeFileSync(file, `${JSON.stringify(recorded, undefined, 2)}\n`);
  console.log(`recorded ${recorded.length} failures`);
} finally {
  rmSync(folder, { recursive: true });
  for (const server of [misbehaving, untrusted, expired]) server.closeAllConnections();
  for (const server of [misbehaving, silent, untrusted, expired]) server.close();
}
