// Where credentials come from when a pod brings none: the node's own, and the kubelet's plugins.
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { orasCli } from "../testing/oras-cli.ts";
import { openRealRegistry, type RealRegistry, registryUser } from "../testing/real-registry.ts";
import { ClaimCalls } from "./claim-calls.ts";
import type { CallOptions } from "./client.ts";
import { contentsOf } from "./contents.ts";
import { openPlugin, type Plugin } from "./plugin.ts";
import { nothingLeft, refusalInTime, refusalOf } from "./remains.ts";
import { podVolume, pullSecret } from "./volume.ts";

const { username, password } = registryUser;
let folder = "";
let registry: RealRegistry;
let reference = "";
beforeAll(async () => {
  folder = await mkdtemp(path.join(os.tmpdir(), "larder-providers-"));
  registry = await openRealRegistry({ password: true });
  reference = `${registry.host}/team/secret:v1`;
  await writeFile(path.join(folder, "secret.txt"), "for the team only\n");
  const login = ["--username", username, "--password-stdin"];
  await orasCli(folder, ["push", "--plain-http", ...login, reference, "secret.txt"], { input: password });
});
afterAll(async () => {
  await registry[Symbol.asyncDispose]();
  await rm(folder, { recursive: true });
});

async function show(plugin: Plugin, secrets: Readonly<Record<string, string>> = {}) {
  const volume = await podVolume(plugin, { attributes: { reference }, secrets });
  await volume.publish();
  const names = Object.keys(await contentsOf(volume.target));
  await volume.unpublish();
  return names;
}

/** A plugin of the kubelet's, as a small program, and the settings that name it. */
async function provider(name: string, script: string) {
  const host = registry.host.replace(/:\d+$/, "");
  await writeFile(path.join(folder, name), `#!/bin/sh\n${script}\n`, { mode: 0o755 });
  const config = path.join(folder, `${name}.json`);
  const apiVersion = "credentialprovider.kubelet.k8s.io/v1";
  const entry = { name, matchImages: [registry.host, host], defaultCacheDuration: "10m", apiVersion };
  await writeFile(
    config,
    JSON.stringify({
      apiVersion: "kubelet.config.k8s.io/v1",
      kind: "CredentialProviderConfig",
      providers: [entry],
    }),
  );
  return { credentialProviders: { config, binDirectory: folder } };
}

describe("a credential provider", () => {
  it("is asked once by the kubelet's protocol, for pods that bring no secret", async () => {
    const answer = {
      apiVersion: "credentialprovider.kubelet.k8s.io/v1",
      kind: "CredentialProviderResponse",
      cacheKeyType: "Registry",
      auth: { [registry.host]: { username, password } },
    };
    const asked = path.join(folder, "asked");
    await writeFile(path.join(folder, "answer"), JSON.stringify(answer));
    const settings = await provider(
      "gives",
      `cat >> ${asked}; echo >> ${asked}; cat ${path.join(folder, "answer")}`,
    );
    await using plugin = await openPlugin({ settings });
    for (let pod = 0; pod < 2; pod++) expect(await show(plugin)).toEqual(["secret.txt"]);
    const questions = (await readFile(asked, "utf8")).trim().split("\n");
    expect(questions).toHaveLength(1);
    expect(JSON.parse(questions[0] ?? "")).toMatchObject({
      kind: "CredentialProviderRequest",
      image: expect.stringContaining(`${registry.host}/team/secret`),
    });
    // A pod's own secret goes first, and is not helped out of.
    const volume = await podVolume(plugin, {
      attributes: { reference },
      secrets: pullSecret(registry.host, username, "wrong"),
    });
    expect(await refusalOf(volume.publish())).toMatchObject({ code: "UNAUTHENTICATED" });
    expect(plugin.log.join("\n")).not.toContain(password);
  });

  it("that hangs is waited for in words, call after call, and its answer is taken when it comes", async () => {
    const go = path.join(folder, "go");
    const script = `while [ ! -e ${go} ]; do sleep 0.1; done; echo "it has nothing" >&2; exit 3`;
    const settings = await provider("hangs", script);
    await using plugin = await openPlugin({ settings });
    const volume = await podVolume(plugin, { attributes: { reference } });
    try {
      for (let again = 0; again < 2; again++) {
        const { code, message } = await refusalInTime(volume, 2_000);
        expect([code, message]).toEqual(["ABORTED", expect.stringContaining("credential providers")]);
      }
      // Nobody holds the volume meanwhile.
      await volume.unpublish();
    } finally {
      await writeFile(go, "");
    }
    const { code, message } = await refusalOf(volume.publish());
    expect([code, message]).toEqual(["UNAVAILABLE", expect.stringContaining('"hangs"')]);
    await nothingLeft(plugin);
  });

  it("that hangs holds up neither the making of a claim nor the next call for it, and is named once it fails", async () => {
    const go = path.join(folder, "go-claim");
    const script = `while [ ! -e ${go} ]; do sleep 0.1; done; echo "it has nothing" >&2; exit 3`;
    const settings = await provider("holds", script);
    await using plugin = await openPlugin({ settings });
    const parameters = { repository: `${registry.host}/team/\${cache}`, cache: "m2" };
    const claim = new ClaimCalls({ plugin }, { name: "pvc", parameters });
    try {
      await claim.create({ deadlineMs: 120_000 });
      expect(claim.context["warning"]).toMatch(
        /no base yet, and its first stage looks again: .*no answer within 3 s/,
      );
      const staging = { publish: (options: CallOptions) => claim.stage(options) };
      for (let again = 0; again < 2; again++) {
        const { code, message } = await refusalInTime(staging, 2_000);
        expect([code, message]).toEqual(["ABORTED", expect.stringContaining("Looking for what")]);
      }
    } finally {
      await writeFile(go, "");
    }
    const { code, message } = await refusalOf(claim.stage());
    expect([code, message]).toEqual(["UNAVAILABLE", expect.stringContaining('"holds"')]);
    await claim.deleteAtLast();
    await nothingLeft(plugin);
  });

  it("that fails is named, and no word of its own secret is told", async () => {
    const settings = await provider("fails", `echo "cannot log in with ${password}" >&2; exit 3`);
    await using plugin = await openPlugin({ settings });
    const volume = await podVolume(plugin, { attributes: { reference } });
    const { code, message } = await refusalOf(volume.publish());
    expect([code, message]).toEqual(["UNAVAILABLE", expect.stringContaining('"fails"')]);
    expect(message).toContain("3");
  });
});

describe("the node's own credentials", () => {
  it("let pods in that bring none, from a file that is read anew", async () => {
    const passwordFile = path.join(folder, "password");
    await writeFile(passwordFile, "old", { mode: 0o600 });
    const registries = [{ match: registry.host, credentials: { username, passwordFile } }];
    await using plugin = await openPlugin({ settings: { registries } });
    const volume = await podVolume(plugin, { attributes: { reference } });
    const { code, message } = await refusalOf(volume.publish());
    expect([code, message]).toEqual(["UNAUTHENTICATED", expect.stringContaining("node's credentials")]);
    await writeFile(passwordFile, `${password}\n`);
    expect(await show(plugin)).toEqual(["secret.txt"]);
  });
});
