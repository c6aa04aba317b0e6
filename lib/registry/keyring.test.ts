import { mkdtempSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { isFailure } from "../core/failure.ts";
import { parseReference } from "../core/reference.ts";
import { fakeProcesses } from "../host/processes.fake.ts";
import { parseNode } from "../settings/node.ts";
import { type KeyringSettings, openKeyring } from "./keyring.ts";

const folder = mkdtempSync(path.join(os.tmpdir(), "larder-keyring-"));
afterAll(() => rmSync(folder, { recursive: true }));

const files = new Map([["/etc/larder/password", "from-file\n"]]);
const plugin = JSON.stringify({
  kind: "CredentialProviderResponse",
  apiVersion: "credentialprovider.kubelet.k8s.io/v1",
  cacheKeyType: "Registry",
  auth: {
    "ecr.example": { username: "AWS", password: "p" },
    "other.example": { username: "no", password: "p" },
  },
});

function open(more: Partial<KeyringSettings> = {}, registries = "[]") {
  const processes = fakeProcesses({ "/plugins/ecr": ({ print }) => print(plugin).then(() => 0) });
  const readText = async (path: string) => {
    const text = files.get(path);
    if (text === undefined) throw new Error(`ENOENT ${path}`);
    return text;
  };
  const node = parseNode(`registries: ${registries}`, { LARDER_NODE: "n" });
  const provider = {
    name: "ecr",
    matchImages: ["ecr.example", "none.example"],
    defaultCacheMs: 1000,
    apiVersion: "credentialprovider.kubelet.k8s.io/v1",
    args: [],
    env: {},
  };
  const keyring = openKeyring(
    {
      processes,
      attempts: folder,
      env: {},
      now: () => 0,
      readText,
    },
    {
      registries: node.registries,
      credentialProviders: { providers: [provider], binDirectory: "/plugins" },
      ...more,
    },
  );
  return (reference: string, secrets: Readonly<Record<string, string>> = {}, name?: string) =>
    keyring.accessesFor(parseReference(reference), secrets, name);
}

const docker = (auths: Readonly<Record<string, string>>) => ({
  ".dockerconfigjson": JSON.stringify({
    auths: Object.fromEntries(
      Object.entries(auths).map(([key, user]) => [
        key,
        { auth: Buffer.from(`${user}:p`).toString("base64") },
      ]),
    ),
  }),
});
const usersOf = (accesses: Awaited<ReturnType<ReturnType<typeof open>>>) =>
  accesses.map(({ credentials }) => (credentials?.kind === "basic" ? credentials.username : undefined));

describe("Keyring", () => {
  it("accessesFor() gives one without credentials where nobody has any", async () => {
    expect(await open()("quay.io/acme/app:v1")).toEqual([{ host: "quay.io", repository: "acme/app" }]);
  });

  it("accessesFor() gives what fits of a pull secret, the most specific first, naming the secret", async () => {
    const secrets = docker({ "quay.io": "host", "quay.io/acme": "path", "*.io": "any", "gcr.io": "no" });
    const accesses = await open()("quay.io/acme/app:v1", secrets, "acme-pull");
    expect(usersOf(accesses)).toEqual(["path", "host", "any"]);
    expect(new Set(accesses.map(({ origin }) => origin))).toEqual(new Set(['pull secret "acme-pull"']));
  });

  it("accessesFor() reads the older form, and username with password for whatever registry", async () => {
    const cfg = { ".dockercfg": JSON.stringify({ "quay.io": { username: "old", password: "p" } }) };
    expect(usersOf(await open()("quay.io/a", cfg))).toEqual(["old"]);
    expect(usersOf(await open()("quay.io/a", { username: "u", password: "" }))).toEqual(["u"]);
    expect(usersOf(await open()("quay.io/a", { ...cfg, username: "u", password: "p" }))).toEqual([
      "old",
      "u",
    ]);
  });

  it("accessesFor() prefers the secret, then the node's own, then the plugins, and mixes none", async () => {
    const own = '[{ match: "ecr.example", credentials: { username: "node", password: "p" } }]';
    expect(usersOf(await open({}, own)("ecr.example/a", docker({ "ecr.example": "pod" })))).toEqual(["pod"]);
    expect(usersOf(await open({}, own)("ecr.example/a", docker({ "gcr.io": "pod" })))).toEqual(["node"]);
    const accesses = await open()("ecr.example/a", docker({ "gcr.io": "pod" }));
    expect(accesses).toMatchObject([
      { credentials: { username: "AWS" }, origin: 'credential provider "ecr"' },
    ]);
    expect(usersOf(await open()("none.example/a"))).toEqual([undefined]);
  });

  it("accessesFor() reads a password file each time, and is unavailable without it", async () => {
    const ask = open(
      {},
      '[{ match: "*", credentials: { username: "n", passwordFile: /etc/larder/password } }]',
    );
    expect(await ask("quay.io/a")).toMatchObject([{ credentials: { password: "from-file" } }]);
    files.set("/etc/larder/password", "changed");
    expect(await ask("quay.io/a")).toMatchObject([{ credentials: { password: "changed" } }]);
    const lost = open({}, '[{ match: "*", credentials: { username: "n", passwordFile: /nowhere } }]');
    await expect(lost("quay.io/a")).rejects.toSatisfy(
      (error) => isFailure(error, "unavailable") && error.message.includes('"/nowhere"'),
    );
  });

  it("accessesFor() says how the registry is spoken to, with credentials or without", async () => {
    const ask = open({}, '[{ match: "quay.io", plainHttp: true, insecure: true }]');
    expect(await ask("quay.io/a")).toMatchObject([{ plainHttp: true, insecure: true }]);
    expect(await ask("quay.io/a", docker({ "quay.io": "u" }))).toMatchObject([
      { plainHttp: true, insecure: true },
    ]);
  });

  it("accessesFor() says nothing of it where the settings do not, so that hosts.toml and loopback have their say", async () => {
    const ask = open({}, '[{ match: "quay.io" }, { match: "tls.example", plainHttp: false }]');
    expect(await ask("quay.io/a")).toEqual([{ host: "quay.io", repository: "a" }]);
    expect(await ask("tls.example/a")).toEqual([{ host: "tls.example", repository: "a", plainHttp: false }]);
  });

  it("accessesFor() passes over what the kubelet adds to the secrets", async () => {
    const secrets = { "csi.storage.k8s.io/serviceAccount.tokens": "{}" };
    expect(usersOf(await open()("quay.io/a", secrets))).toEqual([undefined]);
  });

  it.each([
    [{ "config.json": "hush" }, "none of the keys .dockerconfigjson"],
    [{ username: "hush" }, "give both"],
    [{ password: "hush" }, "give both"],
    [{ ".dockerconfigjson": "hush" }, "no JSON object"],
  ])(
    "accessesFor() refuses the secret %j as invalid, naming it and quoting nothing",
    async (secrets, why) => {
      await expect(open()("quay.io/a", secrets, "acme")).rejects.toSatisfy(
        (error) =>
          isFailure(error, "invalid") &&
          error.message.includes(why) &&
          error.message.includes('pull secret "acme"') &&
          !error.message.includes("hush"),
      );
    },
  );
});
