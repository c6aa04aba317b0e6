// What an administrator sees of the plugin: its pages, its registration, its socket and its log, and no secret in any.
import { randomUUID } from "node:crypto";
import { mkdir, mkdtemp, readdir, readFile, rm, stat } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { Client, credentials, loadPackageDefinition, type ServiceClientConstructor } from "@grpc/grpc-js";
import { loadSync } from "@grpc/proto-loader";
import { describe, expect, it } from "vitest";
import { basic } from "../testing/guard.ts";
import { openRegistryDouble } from "../testing/registry-double.ts";
import { putFiles, unique } from "./artifact.ts";
import { metric, page } from "./metrics.ts";
import { openPlugin } from "./plugin.ts";
import { kept, nothingLeft, refusalInTime, refusalOf } from "./remains.ts";
import { podVolume, pullSecret } from "./volume.ts";

describe("the pages", () => {
  it("say that the plugin lives and is ready, and count what it did", async () => {
    await using registry = await openRegistryDouble();
    await using plugin = await openPlugin();
    expect(await page(plugin, "/healthz")).toEqual({ status: 200, text: "ok\n" });
    expect(await page(plugin, "/readyz")).toEqual({ status: 200, text: "ok\n" });
    const { digest } = putFiles(registry, { a: unique(100_000) });
    const attributes = { reference: `${registry.host}/a/b@${digest}` };
    const first = await podVolume(plugin, { attributes });
    const second = await podVolume(plugin, { attributes });
    for (const volume of [first, second]) await volume.publish();
    const absent = { reference: `${registry.host}/a/b:absent` };
    await refusalOf((await podVolume(plugin, { attributes: absent })).publish());
    const counted = {
      'larder_call_duration_seconds_count{method="NodePublishVolume",code="OK"}': 2,
      'larder_call_duration_seconds_count{method="NodePublishVolume",code="NOT_FOUND"}': 1,
      'larder_refusals_total{reason="not-found"}': 1,
      'larder_pull_duration_seconds_count{outcome="whole"}': 1,
      'larder_bytes_total{source="upstream",mirror=""}': 100_000,
      larder_hits_total: 1,
      larder_open_volumes: 2,
      larder_cache_items: 2,
    };
    for (const [line, value] of Object.entries(counted)) expect(await metric(plugin, line), line).toBe(value);
    expect(await metric(plugin, "larder_cache_bytes")).toBeGreaterThanOrEqual(100_000);
    expect(await metric(plugin, 'larder_bytes_total{source="cache",mirror=""}')).toBeGreaterThanOrEqual(
      100_000,
    );
    for (const volume of [first, second]) await volume.unpublish();
    expect(await metric(plugin, "larder_open_volumes")).toBe(0);
    await nothingLeft(plugin);
  });
});

describe("the registration", () => {
  it("tells the kubelet who answers where, is not ready before, and goes with the plugin", async () => {
    const registration = await mkdtemp(path.join(os.tmpdir(), "larder-kubelet-"));
    try {
      await using plugin = await openPlugin({ settings: { registration } });
      expect(await page(plugin, "/readyz")).toMatchObject({
        status: 503,
        text: expect.stringContaining("kubelet"),
      });
      expect(await readdir(registration)).toEqual(["csi.larder.dev-reg.sock"]);
      using kubelet = openKubelet(path.join(registration, "csi.larder.dev-reg.sock"));
      expect(await kubelet.call("GetInfo", {})).toEqual({
        type: "CSIPlugin",
        name: "csi.larder.dev",
        endpoint: plugin.socket,
        supported_versions: ["1.0.0"],
      });
      await kubelet.call("NotifyRegistrationStatus", { plugin_registered: true });
      expect(await page(plugin, "/readyz")).toMatchObject({ status: 200 });
      expect(await plugin.stop()).toBe(0);
      expect(await readdir(registration)).toEqual([]);
    } finally {
      await rm(registration, { recursive: true });
    }
  });
});

describe("registration left to a sidecar", () => {
  it("opens no socket for it, and is ready without", async () => {
    // The kernel lists all sockets of the node: by this name there is no other.
    const driver = `csi-${randomUUID()}.test`;
    await using plugin = await openPlugin({ settings: { registration: "", driver } });
    expect(await page(plugin, "/readyz")).toMatchObject({ status: 200 });
    const sockets = () => readFile("/proc/net/unix", "utf8");
    expect(await sockets()).not.toContain(`${driver}-reg.sock`);
    await using served = await openPlugin({ settings: { registration: plugin.folder, driver } });
    expect(await served.client.call("Identity", "GetPluginInfo")).toMatchObject({ name: driver });
    await expect.poll(sockets).toContain(`${driver}-reg.sock`);
  });
});

/** The kubelet's side of its plugin registration. */
function openKubelet(socket: string) {
  const file = fileURLToPath(new URL("../proto/pluginregistration.proto", import.meta.url));
  const loaded = loadPackageDefinition(loadSync(file, { keepCase: true, defaults: true })) as unknown as {
    pluginregistration: { Registration: ServiceClientConstructor };
  };
  const methods = loaded.pluginregistration.Registration.service;
  const client = new Client(`unix:${socket}`, credentials.createInsecure(), { "grpc.enable_channelz": 0 });
  return {
    call: (name: string, request: object) =>
      new Promise<unknown>((resolve, reject) => {
        const method = methods[name];
        if (method === undefined) throw new TypeError(`there is no method "${name}"`);
        const { path: at, requestSerialize, responseDeserialize } = method;
        client.makeUnaryRequest(at, requestSerialize, responseDeserialize, request, (error, reply) =>
          error ? reject(error) : resolve(reply),
        );
      }),
    [Symbol.dispose]: () => client.close(),
  };
}

describe("the socket", () => {
  it.each([
    [{}, 0o600, 0],
    [{ socketGroup: 4321 }, 0o660, 4321],
  ])("under %j is for nobody else, and stands alone", async (settings, mode, gid) => {
    await using plugin = await openPlugin({ settings });
    const found = await stat(plugin.socket);
    expect([found.mode & 0o777, found.gid]).toEqual([mode, gid]);
    expect(await readdir(path.dirname(plugin.socket))).toEqual(["csi.sock"]);
    await plugin.stop();
    expect(await readdir(path.dirname(plugin.socket))).toEqual([]);
  });

  it("of a plugin that was killed is replaced, and a second plugin on one root is refused", async () => {
    await using plugin = await openPlugin();
    await using second = await openPlugin({ folder: plugin.folder });
    expect(await second.ended).toBe(1);
    await expect.poll(() => second.log.join("\n")).toContain(`${plugin.pid}`);
    expect(await plugin.client.call("Identity", "Probe")).toMatchObject({ ready: { value: true } });
    await plugin.kill();
    await using again = await plugin.restart();
    expect(await again.client.call("Identity", "Probe")).toMatchObject({ ready: { value: true } });
  });
});

describe("secrets", () => {
  it("are in no log line, message, argument, environment or file of the plugin", async () => {
    const user = ["larder-user", "Tr0ub4dor-and-3"] as const;
    const guess = "a-guess-that-is-wrong";
    const login = { kind: "basic", username: user[0], password: user[1] } as const;
    await using registry = await openRegistryDouble({ auth: login });
    await using plugin = await openPlugin({ environment: { LARDER_LOG_LEVEL: "debug" } });
    const { digest } = putFiles(registry, { a: unique() });
    const attributes = { reference: `${registry.host}/a/b@${digest}` };
    const secrets = (password: string) => pullSecret(registry.host, user[0], password);
    const right = await podVolume(plugin, { attributes, secrets: secrets(user[1]) });
    await right.publish();
    const messages = [];
    const wrong = await podVolume(plugin, { attributes, secrets: secrets(guess) });
    messages.push((await refusalOf(wrong.publish())).message);
    registry.spoil("/manifests/", { kind: "status", status: 500 }, 1_000);
    const tagged = { reference: `${registry.host}/a/b:v1` };
    const troubled = await podVolume(plugin, { attributes: tagged, secrets: secrets(user[1]) });
    messages.push((await refusalInTime(troubled)).message);
    const broken = await podVolume(plugin, {
      attributes,
      secrets: { ".dockerconfigjson": `{"auths": {"${registry.host}": {"auth": "${user[1]}` },
    });
    messages.push((await refusalOf(broken.publish())).message);
    const everything = [
      ...messages,
      ...plugin.log,
      ...(await Promise.all(
        ["cmdline", "environ"].map((name) => readFile(`/proc/${plugin.pid}/${name}`, "utf8")),
      )),
      ...(await textsUnder(plugin.root)),
    ].join("\n");
    expect(plugin.log.length).toBeGreaterThan(4);
    for (const password of [user[1], guess]) {
      expect(everything).not.toContain(password);
      expect(everything).not.toContain(basic(user[0], password).slice("Basic ".length));
    }
    await right.unpublish();
    await nothingLeft(plugin);
    expect(await kept(plugin, "attempts")).toEqual([]);
  });
});

async function textsUnder(folder: string): Promise<readonly string[]> {
  await mkdir(folder, { recursive: true });
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile());
  return await Promise.all(files.map((entry) => readFile(path.join(entry.parentPath, entry.name), "latin1")));
}
