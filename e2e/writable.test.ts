// A pod writes to an inline volume: a layer of its own, thrown away with it.
import { readdir, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import path from "node:path";
import { execa } from "execa";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { openRegistryDouble, type RegistryDouble } from "../testing/registry-double.ts";
import { directory, file, tar } from "../testing/tar-bytes.ts";
import { putFiles, putImage } from "./artifact.ts";
import { contentsOf } from "./contents.ts";
import { mountsAt } from "./mounts.ts";
import { openPlugin, type Plugin } from "./plugin.ts";
import { kept, nothingLeft, refusalOf } from "./remains.ts";
import { type PodRequest, type PodVolume, podVolume } from "./volume.ts";

let registry: RegistryDouble;
let plugin: Plugin;

beforeEach(async () => {
  registry = await openRegistryDouble();
  const settings = { registries: [{ match: registry.host, plainHttp: true }], inline: { maxSize: "2Gi" } };
  plugin = await openPlugin({ settings });
});
afterEach(async () => {
  await plugin[Symbol.asyncDispose]();
  await registry[Symbol.asyncDispose]();
});

async function writable(
  attributes: Readonly<Record<string, string>> = {},
  more: Partial<PodRequest> = {},
): Promise<PodVolume> {
  const said = { reference: `${registry.host}/team/it:v1`, writable: "true", ...attributes };
  const volume = await podVolume(plugin, { attributes: said, writable: true, ...more });
  await volume.publish();
  return volume;
}

const putLayers = () => {
  const [low, high] = [
    tar(directory("d/"), file("d/one", "1"), file("d/two", "2"), file("top", "t")),
    tar(file("d/.wh.two", ""), file("d/three", "3")),
  ];
  return putImage(registry, [low, high], { tags: ["v1"] });
};

describe.each(["overlay", "copy"])("a writable volume under layout %s", (layout) => {
  it("takes writes, leaves the artifact as it is, and is gone after unpublish", async () => {
    putLayers();
    const volume = await writable({ layout, size: "8Mi", uid: "1234", gid: "4321", mode: "2775" });
    const before = await contentsOf(volume.target);
    expect(Object.keys(before)).toEqual(["d/one", "d/three", "top"]);
    const root = await stat(volume.target);
    expect([root.uid, root.gid, root.mode & 0o7777]).toEqual([1234, 4321, 0o2775]);
    const [mount, ...others] = await mountsAt(volume.target);
    expect(others).toEqual([]);
    expect(mount?.flags).toEqual(expect.arrayContaining(["rw", "nosuid", "nodev"]));
    const at = (name: string) => path.join(volume.target, name);
    await writeFile(at("new"), "mine");
    await writeFile(at("d/one"), "changed");
    await rm(at("d/three"));
    await rename(at("top"), at("moved"));
    expect(Object.keys(await contentsOf(volume.target))).toEqual(["d/one", "moved", "new"]);
    const fresh = await writable({ layout });
    expect(await contentsOf(fresh.target)).toEqual(before);
    await volume.unpublish();
    await fresh.unpublish();
    await nothingLeft(plugin);
    expect(await kept(plugin, "volumes")).toEqual([]);
    const reader = await podVolume(plugin, { attributes: { reference: `${registry.host}/team/it:v1` } });
    await reader.publish();
    expect(await contentsOf(reader.target)).toEqual(before);
    await reader.unpublish();
  });

  it("keeps two pods apart, and each goes by itself", async () => {
    putFiles(registry, { "a.txt": "a" }, { tags: ["v1"] });
    const [one, two] = [await writable({ layout }), await writable({ layout })];
    await writeFile(path.join(one.target, "a.txt"), "one");
    await writeFile(path.join(two.target, "b.txt"), "two");
    expect(await readFile(path.join(two.target, "a.txt"), "utf8")).toBe("a");
    expect(await readdir(one.target)).toEqual(["a.txt"]);
    await one.unpublish();
    await one.unpublish();
    expect(await readFile(path.join(two.target, "b.txt"), "utf8")).toBe("two");
    await two.unpublish();
    await nothingLeft(plugin);
    expect(await kept(plugin, "volumes")).toEqual([]);
  });

  it("outlives the plugin, and what it held goes when its pod went meanwhile", async () => {
    putFiles(registry, { "a.txt": "a" }, { tags: ["v1"] });
    const [stays, goes] = [await writable({ layout }), await writable({ layout })];
    await writeFile(path.join(stays.target, "b.txt"), "here");
    await plugin.kill();
    const [, gone = ""] = /^(.*\/pods\/[^/]+)\//.exec(goes.target) ?? [];
    await unmountAndRemove(goes.target, gone);
    const killed = plugin;
    plugin = await killed.restart();
    expect((await kept(plugin, "volumes")).length).toBe(1);
    expect(await readFile(path.join(stays.target, "b.txt"), "utf8")).toBe("here");
    await unpublishAt(stays);
    await nothingLeft(plugin);
    expect(await kept(plugin, "volumes")).toEqual([]);
    await plugin.kill();
    await killed[Symbol.asyncDispose]();
  });
});

/** By the plugin that runs now. */
async function unpublishAt({ id, target }: PodVolume): Promise<void> {
  await plugin.client.call("Node", "NodeUnpublishVolume", { volume_id: id, target_path: target });
}

/** As the kubelet clears the directory of a pod that is gone. */
async function unmountAndRemove(target: string, pod: string): Promise<void> {
  await execa("umount", [target]);
  await rm(pod, { recursive: true });
}

describe("a writable volume", () => {
  it("is refused in words when it asks for more than inline.maxSize, and leaves nothing", async () => {
    putFiles(registry, { "a.txt": "a" }, { tags: ["v1"] });
    const refusal = await refusalOf(writable({ size: "3Gi" }));
    expect(refusal.code).toBe("INVALID_ARGUMENT");
    expect(refusal.message).toContain("size 3 GiB is more than this node gives to inline volumes, 2 GiB");
    await nothingLeft(plugin);
    expect(await kept(plugin, "volumes")).toEqual([]);
  });

  it("is refused to a pod that has it read-only", async () => {
    putFiles(registry, { "a.txt": "a" }, { tags: ["v1"] });
    const refusal = await refusalOf(writable({}, { writable: false }));
    expect(refusal).toMatchObject({ code: "INVALID_ARGUMENT" });
    expect(refusal.message).toContain("set readOnly to false");
    await nothingLeft(plugin);
  });

  it("tells the room it has", async () => {
    putFiles(registry, { "a.txt": "a" }, { tags: ["v1"] });
    const volume = await writable();
    const { usage } = await plugin.client.call("Node", "NodeGetVolumeStats", {
      volume_id: volume.id,
      volume_path: volume.target,
    });
    const [bytes, inodes] = usage as ReadonlyArray<{ total: string; available: string }>;
    expect(Number(bytes?.available)).toBeGreaterThan(0);
    expect(Number(inodes?.total)).toBeGreaterThan(0);
    await volume.unpublish();
  });

  it("is to be written to again where its mount was lost", async () => {
    putFiles(registry, { "a.txt": "a" }, { tags: ["v1"] });
    const volume = await writable();
    await writeFile(path.join(volume.target, "b.txt"), "mine");
    await execa("umount", [volume.target]);
    await volume.publish();
    expect(await readFile(path.join(volume.target, "b.txt"), "utf8")).toBe("mine");
    await writeFile(path.join(volume.target, "c.txt"), "too");
    await volume.unpublish();
    await nothingLeft(plugin);
  });
});
