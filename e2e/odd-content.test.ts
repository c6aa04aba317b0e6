// Content that is hard to keep and harder to remove: too deep, too much, protected, or gone behind our back.
import { opendirSync } from "node:fs";
import { mkdir, readdir, rm, stat } from "node:fs/promises";
import path from "node:path";
import { gzipSync, zstdCompressSync } from "node:zlib";
import { execa } from "execa";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openRegistryDouble, type RegistryDouble } from "../testing/registry-double.ts";
import { directory, entry, file, pax, symlink, tar } from "../testing/tar-bytes.ts";
import { directoryPart, putFiles, putImage, putParts, unique } from "./artifact.ts";
import { contentsOf } from "./contents.ts";
import { mountsAt } from "./mounts.ts";
import { openPlugin, type Plugin } from "./plugin.ts";
import { kept, nothingLeft } from "./remains.ts";
import { factsOf } from "./tree-facts.ts";
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

/** In two parts that follow each other, each compressed by itself. */
const inMembers = (archive: Buffer, compress: (bytes: Buffer) => Buffer) =>
  Buffer.concat([compress(archive.subarray(0, 700)), compress(archive.subarray(700))]);

/** Of parts that no name may be longer than, a path of nearly 4 KiB. */
const long = `d/${"l".repeat(250)}${`/${"l".repeat(250)}`.repeat(13)}`;

type Shown = readonly [what: string, digest: () => string, names: readonly string[]];

describe("publish shows whole", () => {
  const part = (archive: Uint8Array, kind = "gzip") =>
    putParts(registry, [
      { ...directoryPart("d", archive), mediaType: `application/vnd.oci.image.layer.v1.tar+${kind}` },
    ]).digest;
  const packed = (...entries: readonly Buffer[]) => part(gzipSync(tar(...entries)));
  const two = tar(file("d/a", "a"), file("d/b", "b"));
  it.each([
    ["gzip of several members", () => part(inMembers(two, gzipSync)), ["d/a", "d/b"]],
    ["zstd of several frames", () => part(inMembers(two, zstdCompressSync), "zstd"), ["d/a", "d/b"]],
    [
      "names with newlines and names that are not UTF-8",
      () => packed(file("d/one\ntwo", ""), file("d/\xff\xfe", "")),
      ["d/one\ntwo", "d/\xff\xfe"],
    ],
    [
      "a name of nearly 4 KiB",
      () => packed(pax([["path", `${long}/end`]]), file("d/x", "")),
      [`${long}/end`],
    ],
    ["an entry twice, as it is last", () => packed(file("d/a", "old"), file("d/a", "a")), ["d/a"]],
    ["a symlink that leads out, as a symlink", () => packed(symlink("d/out", "/etc/passwd")), ["d/out"]],
    [
      "a file where a directory was in the layer beneath",
      () => putImage(registry, [tar(directory("d/"), file("d/a/below", "x")), tar(file("d/a", "a"))]).digest,
      ["d/a"],
    ],
    [
      "a directory where a file was in the layer beneath",
      () => putImage(registry, [tar(file("d", "x")), tar(directory("d/"), file("d/a", "a"))]).digest,
      ["d/a"],
    ],
    [
      "an image's fifos and devices, which lead nowhere",
      () =>
        putImage(registry, [
          tar(entry({ name: "pipe", type: "6" }), entry({ name: "sda", type: "4", device: [8, 0] })),
        ]).digest,
      ["pipe", "sda"],
    ],
  ] satisfies readonly Shown[])("%s", async (_, digest, names) => {
    const volume = await shown(digest());
    const facts = Object.entries(factsOf(volume.target, "content"));
    // Directories aside, which all of these names imply.
    const found = facts.filter(([, fact]) => !fact.startsWith("4")).map(([name]) => name.slice(2));
    expect(found.sort()).toEqual([...names].sort());
    const [a] = facts.filter(([name]) => name.endsWith("d/a"));
    if (a !== undefined) expect(a[1]).toContain("1 bytes");
    for (const mount of await mountsAt(volume.target))
      expect(mount.flags).toEqual(expect.arrayContaining(["ro", "nodev", "nosuid"]));
    await volume.unpublish();
    await nothingLeft(plugin);
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
