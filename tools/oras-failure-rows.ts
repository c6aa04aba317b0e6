// The commands of oras-failure-commands.json, with the hosts and files of this run in them.
import { registryUser } from "../testing/real-registry.ts";
import commands from "./oras-failure-commands.json" with { type: "json" };

export type Row = {
  readonly name: string;
  readonly args: readonly string[];
  readonly stdin?: string;
  readonly auth?: object;
};

const digest = `sha256:${"a".repeat(64)}`;
const mediaType = "application/vnd.oci.image.manifest.v1+json";
const missingBlob = JSON.stringify({
  schemaVersion: 2,
  mediaType,
  config: { mediaType: "application/vnd.oci.empty.v1+json", digest, size: 2 },
  layers: [{ mediaType: "application/octet-stream", digest, size: 3 }],
});
const wrong = { auth: Buffer.from(`${registryUser.username}:wrong`).toString("base64") };

export function rowsOf(hosts: Readonly<Record<string, string>>, folder: string): readonly Row[] {
  const port = hosts["untrusted.example"]?.split(":")[1] ?? "";
  const fill = (word: string) =>
    Object.entries(hosts)
      .reduce((text, [name, host]) => text.replace(name, host), word)
      .replace("FOLDER", folder)
      .replace("DIGEST", "a".repeat(64))
      .replace("MANIFEST", mediaType)
      .replace("UNTRUSTEDPORT", port);
  const input = (stdin: string) =>
    stdin.startsWith("MISSING-BLOB") ? missingBlob.padEnd(stdin.endsWith("padded") ? 5 << 20 : 0) : stdin;
  return commands.map(({ name, command, stdin, wrongPassword }) => ({
    name,
    args: command.split(" ").map(fill),
    ...(stdin === undefined ? {} : { stdin: input(stdin) }),
    ...(wrongPassword === true ? { auth: { [hosts["locked.example"] ?? ""]: wrong } } : {}),
  }));
}
