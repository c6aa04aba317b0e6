// Content that is hard to keep and harder to remove: too deep, too much, protected, or gone behind our back.
import { opendirSync } from "node:fs";
import { mkdir, readdir, rm, stat } from "node:fs/promises";
import path from "node:path";
import { gzipSync } from "node:zlib";
import { execa } from "execa";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openRegistryDouble, type RegistryDouble } from "../testing/registry-double.ts";
import { file, pax, tar } from "../testing/tar-bytes.ts";
import { directoryPart, putFiles, putImage, putParts, unique } from "./artifact.ts";
import { contentsOf } from "./contents.ts";
import { mountsAt } from "./mounts.ts";
import { openPlugin, type Plugin } from "./plugin.ts";
import { kept, nothingLeft } from "./remains.ts";
import { type PodVolume, podVolume } from "./volume.ts";

let registry: RegistryDouble;
let plugin: Plugin;
beforeAll(async () => {
  registry = await openRegistryDouble();
  plugin = await openPlugin({ settings: { store: { high: "16Mi", low: "1Mi" } } });
});
afterAll(async () => {
  await plugin[Symbol.asyncDispose]();
  await registry[Symbol.asyncDispose]();
});

async function shown(digest: string, on = plugin): Promise<PodVolume> {
  const volume = await podVolume(on, { attributes: { reference: `${registry.host}/a/b@${digest}` } });
  await volume.publish();
  return volume;
}

/** Has the plugin collect all that no pod has, for want of room for something large. */
async function collectAll(): Promise<void> {
  const { digest } = putFiles(registry, { large: unique(15.5 * 2 ** 20) });
  await (await shown(digest)).unpublish();
}

const layerOf = async () => {
  const before = await kept(plugin, "layers");
  return async () => {
    const [fresh = ""] = (await kept(plugin, "layers")).filter((name) => !before.includes(name));
    return path.join(plugin.root, "layers", fresh, "fs");
  };
};

describe("publish of an archive", () => {
  it("with directories nested beyond PATH_MAX shows them, and collects them", async () => {
    const depth = 1_500;
    const name = `d/${"deep/".repeat(depth)}bottom`;
    expect(name.length).toBeGreaterThan(4096);
    const archive = tar(pax([["path", name]]), file("d/short", "at the bottom"));
    const fresh = await layerOf();
    const volume = await shown(putParts(registry, [directoryPart("d", gzipSync(archive))]).digest);
    const layer = await fresh();
    // A path that long can be named by nobody, so it is walked.
    const found = ["-name", "bottom", "-printf", "%d ", "-execdir", "cat", "{}", ";"];
    const { stdout } = await execa("find", [".", ...found], { cwd: path.join(volume.target, "d") });
    expect(stdout).toBe(`${depth + 1} at the bottom`);
    await volume.unpublish();
    await collectAll();
    await expect(stat(layer)).rejects.toThrow("ENOENT");
    await nothingLeft(plugin);
  });

  it("with a hundred thousand entries shows them all", async () => {
    const count = 100_000;
    const entries = Array.from({ length: count }, (_, at) => file(`d/${at % 100}/${at}`, ""));
    const archive = gzipSync(tar(...entries), { level: 1 });
    // They take half a gigabyte of the store.
    await using roomy = await openPlugin();
    const volume = await shown(putParts(registry, [directoryPart("d", archive)]).digest, roomy);
    let found = 0;
    for (const folder of await readdir(path.join(volume.target, "d"))) {
      using directory = opendirSync(path.join(volume.target, "d", folder));
      while (directory.readSync() !== null) found++;
    }
    expect(found).toBe(count);
    await volume.unpublish();
    await nothingLeft(roomy);
  });
});

describe("the collection of a Layer", () => {
  it("removes it whole where somebody made files in it immutable and append-only", async () => {
    const fresh = await layerOf();
    const files = tar(file("d/fixed/a", unique(2 ** 20)), file("d/b", "b"));
    const volume = await shown(putParts(registry, [directoryPart("d", gzipSync(files))]).digest);
    const layer = await fresh();
    await volume.unpublish();
    await execa("chattr", ["+i", path.join(layer, "d/fixed/a"), path.join(layer, "d/fixed")]);
    await execa("chattr", ["+a", path.join(layer, "d/b"), path.join(layer, "d")]);
    await collectAll();
    await expect(stat(layer)).rejects.toThrow("ENOENT");
    await nothingLeft(plugin);
  });
});

describe("unpublish", () => {
  it.each(["a bind", "an overlay"])("of %s whose source has vanished leaves nothing", async (shape) => {
    const fresh = await layerOf();
    const archives = [tar(file("a", unique())), tar(file("b", unique()))];
    const { digest } =
      shape === "a bind" ? putFiles(registry, { a: unique() }) : putImage(registry, archives);
    const volume = await shown(digest);
    const layer = await fresh();
    // What it is about may be noted at the same moment.
    await rm(path.dirname(layer), { recursive: true, maxRetries: 50, retryDelay: 20 });
    await volume.unpublish();
    expect(await mountsAt(volume.target)).toEqual([]);
    await expect(stat(volume.target)).rejects.toThrow("ENOENT");
    await nothingLeft(plugin);
  });

  it("of a volume at another's target leaves that one mounted", async () => {
    const volume = await shown(putFiles(registry, { a: "a" }).digest);
    await plugin.client.call("Node", "NodeUnpublishVolume", {
      volume_id: "csi-somebody-else",
      target_path: volume.target,
    });
    expect(Object.keys(await contentsOf(volume.target))).toEqual(["a"]);
    await volume.unpublish();
    await nothingLeft(plugin);
  });

  it("of an unknown id takes an empty directory away, and leaves a full one", async () => {
    const { target } = await plugin.target();
    const request = { volume_id: "csi-never-seen", target_path: target };
    await plugin.client.call("Node", "NodeUnpublishVolume", request);
    await mkdir(target);
    await plugin.client.call("Node", "NodeUnpublishVolume", request);
    await expect(stat(target)).rejects.toThrow("ENOENT");
    await mkdir(path.join(target, "precious"), { recursive: true });
    await expect(plugin.client.call("Node", "NodeUnpublishVolume", request)).rejects.toThrow("not empty");
    expect(await readdir(target)).toEqual(["precious"]);
  });
});
