// Mirrors as containerd's hosts.toml or our own settings name them.
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer, type Server } from "node:net";
import os from "node:os";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openRegistryDouble, type RegistryDouble } from "../testing/registry-double.ts";
import { putFiles, unique } from "./artifact.ts";
import { contentsOf } from "./contents.ts";
import { metric } from "./metrics.ts";
import { openPlugin, type Plugin } from "./plugin.ts";
import { podVolume } from "./volume.ts";

let registry: RegistryDouble;
let mirror: RegistryDouble;
let folder = "";
beforeAll(async () => {
  folder = await mkdtemp(path.join(os.tmpdir(), "larder-mirrors-"));
  registry = await openRegistryDouble();
  mirror = await openRegistryDouble();
});
afterAll(async () => {
  await registry[Symbol.asyncDispose]();
  await mirror[Symbol.asyncDispose]();
  await rm(folder, { recursive: true });
});

/** The same artifact at the registry and its mirror. */
function artifact() {
  const bytes = unique(50_000);
  const tag = `t${registry.asked.length}-${mirror.asked.length}`;
  putFiles(mirror, { a: bytes }, { tags: [tag] });
  const { digest, blobs } = putFiles(registry, { a: bytes }, { tags: [tag] });
  return { tag, digest, blob: blobs[0] ?? "" };
}

async function show(plugin: Plugin, name: string): Promise<readonly string[]> {
  const volume = await podVolume(plugin, { attributes: { reference: `${registry.host}/a/b${name}` } });
  await volume.publish();
  const names = Object.keys(await contentsOf(volume.target));
  await volume.unpublish();
  return names;
}

describe("a mirror", () => {
  it("of a hosts.toml resolves and sends blobs, and the registry itself proves the right", async () => {
    const hosts = path.join(folder, registry.host);
    await mkdir(hosts);
    await writeFile(
      path.join(hosts, "hosts.toml"),
      `server = "http://${registry.host}"\n[host."http://${mirror.host}"]\ncapabilities = ["pull", "resolve"]\n`,
    );
    await using plugin = await openPlugin({ settings: { hostsDirectory: folder } });
    const { tag, digest, blob } = artifact();
    expect(await show(plugin, `:${tag}`)).toEqual(["a"]);
    expect(mirror.count(`/manifests/${tag}`)).toBeGreaterThan(0);
    expect(mirror.asked.find(({ path: at }) => at.includes(tag))?.query).toBe(
      `?ns=${encodeURIComponent(registry.host)}`,
    );
    expect(registry.count(`/manifests/${tag}`)).toBe(0);
    expect(registry.count(digest)).toBeGreaterThan(0);
    expect(registry.count(blob)).toBe(0);
    expect(await metric(plugin, `larder_bytes_total{source="mirror",mirror="${mirror.host}"}`)).toBe(50_000);
  });

  it("of the settings that may only pull turns no tag into a digest", async () => {
    const mirrors = [{ url: `http://${mirror.host}`, capabilities: ["pull"] }];
    await using plugin = await openPlugin({ settings: { registries: [{ match: registry.host, mirrors }] } });
    const { tag, blob } = artifact();
    expect(await show(plugin, `:${tag}`)).toEqual(["a"]);
    expect([mirror.count(`/manifests/${tag}`), mirror.count(blob) > 0, registry.count(blob)]).toEqual([
      0,
      true,
      0,
    ]);
  });

  it("that sends wrong bytes is passed by, and the right ones come from the registry", async () => {
    const mirrors = [{ url: `http://${mirror.host}`, capabilities: ["pull"] }];
    await using plugin = await openPlugin({ settings: { registries: [{ match: registry.host, mirrors }] } });
    const { digest, blob } = artifact();
    mirror.spoil(blob, { kind: "wrong-bytes" }, 1_000);
    expect(await show(plugin, `@${digest}`)).toEqual(["a"]);
    expect(registry.bytesSent(blob as never)).toBe(50_000);
    mirror.mend();
  });

  it("that takes connections and never answers costs its first caller little, and nobody after", async () => {
    let taken = 0;
    const silent = createServer(() => void taken++);
    await new Promise<void>((resolve) => void silent.listen(0, "127.0.0.1", resolve));
    const mirrors = [{ url: `http://127.0.0.1:${portOf(silent)}` }];
    try {
      await using plugin = await openPlugin({
        settings: { registries: [{ match: registry.host, mirrors }] },
      });
      const began = performance.now();
      expect(await show(plugin, `@${artifact().digest}`)).toEqual(["a"]);
      // A second for the mirror, the rest for a busy machine: a host that is waited for as any other costs thirty.
      expect(performance.now() - began).toBeLessThan(25_000);
      const before = taken;
      for (let more = 0; more < 3; more++) expect(await show(plugin, `@${artifact().digest}`)).toEqual(["a"]);
      expect(taken).toBe(before);
    } finally {
      silent.close();
    }
  });
});

function portOf(server: Server): number {
  const address = server.address();
  return typeof address === "object" ? (address?.port ?? 0) : 0;
}
