// A pod names an artifact and finds it mounted: every shape, as the plain ORAS CLI makes it.
import { createHash } from "node:crypto";
import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { gzipSync, zstdCompressSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { orasCli } from "../testing/oras-cli.ts";
import { openRealRegistry, type RealRegistry } from "../testing/real-registry.ts";
import { directory, file, tar } from "../testing/tar-bytes.ts";
import { ClaimCalls } from "./claim-calls.ts";
import { contentsOf, sha256Of } from "./contents.ts";
import { makeFolders } from "./demo-files.ts";
import { writeImageLayout } from "./image.ts";
import { mountsAt } from "./mounts.ts";
import { openPlugin, type Plugin } from "./plugin.ts";
import { kept, nothingLeft, refusalOf } from "./remains.ts";
import { type PodRequest, type PodVolume, podVolume } from "./volume.ts";

let folder = "";
let registry: RealRegistry;
let plugin: Plugin;
const open: PodVolume[] = [];

beforeAll(async () => {
  folder = await mkdtemp(path.join(os.tmpdir(), "larder-inline-"));
  await makeFolders(path.join(folder, "data"), 120);
  await mkdir(path.join(folder, "docs", "deep"), { recursive: true });
  await writeFile(path.join(folder, "a.txt"), "the first\n");
  await writeFile(path.join(folder, "docs", "b.txt"), "the second\n");
  await writeFile(path.join(folder, "docs", "deep", "c.bin"), Buffer.alloc(3_000_000, 7));
  registry = await openRealRegistry();
  plugin = await openPlugin();
});
afterAll(async () => {
  for (const volume of open) await volume.unpublish();
  await plugin[Symbol.asyncDispose]();
  await registry[Symbol.asyncDispose]();
  await rm(folder, { recursive: true, force: true });
});

const named = (name: string) => `${registry.host}/team/${name}`;
const push = (name: string, args: readonly string[], cwd = folder) =>
  orasCli(cwd, ["push", "--plain-http", named(name), ...args]);

async function published(
  attributes: Readonly<Record<string, string>>,
  more: Partial<PodRequest> = {},
): Promise<PodVolume> {
  const volume = await podVolume(plugin, { attributes, ...more });
  await volume.publish();
  open.push(volume);
  return volume;
}

const read = (volume: PodVolume, name: string) => readFile(path.join(volume.target, name), "utf8");
const modeOf = async (volume: PodVolume, name: string) =>
  (await stat(path.join(volume.target, name))).mode & 0o7777;

/** Pushes a manifest with layers that have no titles, which `oras push` itself never writes. */
async function pushUntitled(name: string, layers: ReadonlyArray<{ mediaType: string; bytes: string }>) {
  const descriptors = [];
  const repository = named(name).slice(0, named(name).lastIndexOf(":"));
  for (const { mediaType, bytes } of [{ mediaType: "application/vnd.acme.config", bytes: "{}" }, ...layers]) {
    await writeFile(path.join(folder, "blob"), bytes);
    const args = ["blob", "push", "--plain-http", "--descriptor", "--media-type", mediaType];
    descriptors.push(JSON.parse(await orasCli(folder, [...args, repository, "blob"])));
  }
  const [config, ...rest] = descriptors;
  const mediaType = "application/vnd.oci.image.manifest.v1+json";
  const manifest = { schemaVersion: 2, mediaType, config, layers: rest };
  await writeFile(path.join(folder, "manifest.json"), JSON.stringify(manifest));
  await orasCli(folder, ["manifest", "push", "--plain-http", named(name), "manifest.json"]);
}

describe("publish of titled files", () => {
  it("brings each under its path, read-only in the kernel, without setuid and devices", async () => {
    await push("files:v1", ["a.txt", "docs/b.txt", "docs/deep/c.bin"]);
    const volume = await published({ reference: named("files:v1") });
    const source = await contentsOf(folder);
    expect(await contentsOf(volume.target)).toEqual({
      "a.txt": source["a.txt"],
      "docs/b.txt": source["docs/b.txt"],
      "docs/deep/c.bin": source["docs/deep/c.bin"],
    });
    const [mount, ...others] = await mountsAt(volume.target);
    expect(others).toEqual([]);
    expect(mount?.flags).toEqual(expect.arrayContaining(["ro", "nosuid", "nodev"]));
    for (const attempt of [
      () => writeFile(path.join(volume.target, "mine"), "x"),
      () => writeFile(path.join(volume.target, "a.txt"), "x"),
      () => rm(path.join(volume.target, "a.txt")),
    ])
      await expect(attempt()).rejects.toThrow("EROFS");
  });

  it("gives the mode that an annotation states, and 0644 where none does", async () => {
    const annotations = { "a.txt": { "dev.larder.file.mode": "0750" } };
    await writeFile(path.join(folder, "annotations.json"), JSON.stringify(annotations));
    await push("modes:v1", ["--annotation-file", "annotations.json", "a.txt", "docs/b.txt"]);
    const volume = await published({ reference: named("modes:v1") });
    expect(await modeOf(volume, "a.txt")).toBe(0o750);
    expect(await modeOf(volume, "docs/b.txt")).toBe(0o644);
  });

  it("brings four hundred whole, in their folders, each with its content and its mode", async () => {
    const modes = ["0644", "0755", "0600", "0444", "0511"];
    const titles = Array.from({ length: 400 }, (_, at) => `many/${at % 7}/of ${at % 31}/${at}.bin`);
    const files = new Map(titles.map((title, at) => [title, { at, mode: modes[at % 6] }]));
    for (const [title, { at }] of files) {
      await mkdir(path.dirname(path.join(folder, title)), { recursive: true });
      // Empty ones, and some that are equal, among them.
      await writeFile(path.join(folder, title), `${at % 300} `.repeat((at % 20) ** 3));
    }
    const stated = [...files].filter(([, { mode }]) => mode !== undefined);
    const annotations = stated.map(([title, { mode }]) => [title, { "dev.larder.file.mode": mode }] as const);
    await writeFile(path.join(folder, "many.json"), JSON.stringify(Object.fromEntries(annotations)));
    await push("many:v1", ["--annotation-file", "many.json", ...titles]);
    const volume = await published({ reference: named("many:v1") });
    const made = await contentsOf(path.join(folder, "many"));
    expect(Object.keys(made)).toHaveLength(400);
    expect(await contentsOf(path.join(volume.target, "many"))).toEqual(made);
    const shown = await Promise.all(titles.map((title) => modeOf(volume, title)));
    expect(shown).toEqual(titles.map((title) => Number.parseInt(files.get(title)?.mode ?? "0644", 8)));
    expect(await readdir(volume.target)).toEqual(["many"]);
  });

  it("shares one store between two pods, and goes on when one of them goes", async () => {
    await push("shared:v1", ["docs/deep/c.bin"]);
    const first = await published({ reference: named("shared:v1") });
    const layers = await kept(plugin, "layers");
    const second = await podVolume(plugin, { attributes: { reference: named("shared:v1") } });
    await second.publish();
    expect(await kept(plugin, "layers")).toEqual(layers);
    const [one, other] = await Promise.all(
      [first, second].map(({ target }) => stat(path.join(target, "docs/deep/c.bin"))),
    );
    expect([other?.dev, other?.ino]).toEqual([one?.dev, one?.ino]);
    await second.unpublish();
    expect(await mountsAt(second.target)).toEqual([]);
    expect(await sha256Of(path.join(first.target, "docs/deep/c.bin"))).toBe(
      await sha256Of(path.join(folder, "docs/deep/c.bin")),
    );
  });

  it("repeated, mounts nothing again", async () => {
    const volume = await published({ reference: named("files:v1") });
    await volume.publish();
    expect(await mountsAt(volume.target)).toHaveLength(1);
  });
});

describe("publish of titled directories", () => {
  it("unpacks a directory under its title", async () => {
    await push("directory:v1", ["data/"]);
    const volume = await published({ reference: named("directory:v1") });
    expect(await contentsOf(path.join(volume.target, "data"))).toEqual(
      await contentsOf(path.join(folder, "data")),
    );
  });

  it("unpacks what `oras push REPO .` wrote at the volume's top", async () => {
    await push("dot:v1", ["."], path.join(folder, "data"));
    const volume = await published({ reference: named("dot:v1") });
    expect(await contentsOf(volume.target)).toEqual(await contentsOf(path.join(folder, "data")));
  });
});

describe("publish of an image", () => {
  beforeAll(async () => {
    const layers = ["one", "two", "three"].map((name) => path.join(folder, "layers", name));
    for (const layer of layers) await makeFolders(path.join(layer, `from-${path.basename(layer)}`), 60);
    const layout = path.join(folder, "image");
    await writeImageLayout(layout, layers);
    await orasCli(folder, ["cp", "--from-oci-layout", "--to-plain-http", `${layout}:v1`, named("image:v1")]);
  });

  it("stacks its layers, picked from the index for the node, or by attribute", async () => {
    const own = process.arch === "x64" ? "amd64" : process.arch;
    const volume = await published({ reference: named("image:v1") });
    expect(await read(volume, "etc/platform")).toBe(`linux/${own}\n`);
    const [mount] = await mountsAt(volume.target);
    expect(mount?.type).toBe("overlay");
    expect(mount?.flags).toEqual(expect.arrayContaining(["ro", "nosuid", "nodev"]));
    const other = await published({ reference: named("image:v1"), platform: "linux/arm64" });
    expect(await read(other, "etc/platform")).toBe("linux/arm64\n");
    const found = await contentsOf(volume.target);
    for (const name of ["one", "two", "three"]) {
      const made = await contentsOf(path.join(folder, "layers", name));
      expect(found).toMatchObject(made);
    }
  });

  it("says which platforms there are where none fits", async () => {
    const volume = await podVolume(plugin, {
      attributes: { reference: named("image:v1"), platform: "linux/s390x" },
    });
    const { code, message } = await refusalOf(volume.publish());
    expect(code).toBe("NOT_FOUND");
    expect(message).toMatch(/linux\/s390x.*linux\/amd64.*linux\/arm64/);
  });

  it("makes one directory of it under layout copy, without an overlay", async () => {
    const stacked = await published({ reference: named("image:v1") });
    const copied = await published({ reference: named("image:v1"), layout: "copy" });
    const [mount] = await mountsAt(copied.target);
    expect(mount?.type).not.toBe("overlay");
    expect(mount?.flags).toEqual(expect.arrayContaining(["ro", "nosuid", "nodev"]));
    expect(await contentsOf(copied.target)).toEqual(await contentsOf(stacked.target));
  });
});

describe("publish of what Docker pushes", () => {
  const docker = (kind: string) => `application/vnd.docker.${kind}`;
  const repository = () => named("docker");
  type Pushed = { readonly mediaType: string; readonly digest: string; readonly size: number };

  async function pushed(what: "blob" | "manifest", mediaType: string, bytes: string | Buffer, at = "") {
    await writeFile(path.join(folder, "pushed"), bytes);
    const args = [what, "push", "--plain-http", "--descriptor", "--media-type", mediaType];
    return JSON.parse(await orasCli(folder, [...args, `${repository()}${at}`, "pushed"])) as Pushed;
  }

  /** A schema 2 manifest of these archives. */
  async function pushSchema2(architecture: string, archives: readonly Buffer[]): Promise<Pushed> {
    const diffIds = archives.map((bytes) => `sha256:${createHash("sha256").update(bytes).digest("hex")}`);
    const config = { os: "linux", architecture, rootfs: { type: "layers", diff_ids: diffIds } };
    const layers = [];
    for (const bytes of archives)
      layers.push(await pushed("blob", docker("image.rootfs.diff.tar.gzip"), gzipSync(bytes)));
    const manifest = {
      schemaVersion: 2,
      mediaType: docker("distribution.manifest.v2+json"),
      config: await pushed("blob", docker("container.image.v1+json"), JSON.stringify(config)),
      layers,
    };
    const name = `:${architecture}`;
    return await pushed("manifest", manifest.mediaType, JSON.stringify(manifest), name);
  }

  it("takes its lists and schema 2 manifests as it takes OCI's", async () => {
    const base = tar(directory("etc/"), file("etc/gone", "gone"), file("etc/base", "base"));
    const manifests = [];
    for (const architecture of ["amd64", "arm64"]) {
      const own = tar(directory("etc/"), file("etc/.wh.gone", ""), file("etc/platform", architecture));
      const platform = { os: "linux", architecture };
      manifests.push({ ...(await pushSchema2(architecture, [base, own])), platform });
    }
    const mediaType = docker("distribution.manifest.list.v2+json");
    await pushed("manifest", mediaType, JSON.stringify({ schemaVersion: 2, mediaType, manifests }), ":v1");
    const node = process.arch === "x64" ? "amd64" : process.arch;
    const foreign = manifests.find(({ platform }) => platform.architecture !== node);
    for (const [reference, attributes, platform] of [
      [`${repository()}:v1`, {}, node],
      [`${repository()}:v1`, { platform: "linux/arm64" }, "arm64"],
      [`${repository()}@${foreign?.digest}`, {}, foreign?.platform.architecture],
    ] as const) {
      const volume = await published({ reference, ...attributes });
      expect((await mountsAt(volume.target)).map(({ type }) => type)).toEqual(["overlay"]);
      expect(Object.keys(await contentsOf(volume.target))).toEqual(["etc/base", "etc/platform"]);
      expect(await read(volume, "etc/platform")).toBe(platform);
    }
  });
});

describe("publish of ModelPack", () => {
  it("brings raw, tar, tar+gzip and tar+zstd by their paths, modes and times", async () => {
    const archive = (name: string) => tar(directory(`${name}/`), file(`${name}/w`, `weights of ${name}`));
    await writeFile(path.join(folder, "raw"), "raw weights");
    await writeFile(path.join(folder, "plain"), archive("plain"));
    await writeFile(path.join(folder, "gzip"), gzipSync(archive("gzip")));
    await writeFile(path.join(folder, "zstd"), zstdCompressSync(archive("zstd")));
    const meta = { name: "raw", mode: 0o640, uid: 0, gid: 0, size: 11, mtime: "2024-01-02T03:04:05Z" };
    const at = (filepath: string) => ({ "org.cncf.model.filepath": filepath });
    const annotations = {
      raw: { ...at("weights/model.bin"), "org.cncf.model.file.metadata+json": JSON.stringify(meta) },
      plain: at("plain"),
      gzip: at("gzip"),
      zstd: at("zstd"),
    };
    await writeFile(path.join(folder, "model.json"), JSON.stringify(annotations));
    const typed = (name: string, ending: string) => `${name}:application/vnd.cncf.model.weight.v1.${ending}`;
    await push("model:v1", [
      "--artifact-type",
      "application/vnd.cncf.model.manifest.v1+json",
      "--annotation-file",
      "model.json",
      typed("raw", "raw"),
      typed("plain", "tar"),
      typed("gzip", "tar+gzip"),
      typed("zstd", "tar+zstd"),
    ]);
    const volume = await published({ reference: named("model:v1") });
    expect(Object.keys(await contentsOf(volume.target))).toEqual([
      "gzip/w",
      "plain/w",
      "weights/model.bin",
      "zstd/w",
    ]);
    for (const name of ["plain", "gzip", "zstd"])
      expect(await read(volume, `${name}/w`)).toBe(`weights of ${name}`);
    expect(await read(volume, "weights/model.bin")).toBe("raw weights");
    const { mode, mtimeMs } = await stat(path.join(volume.target, "weights/model.bin"));
    expect([mode & 0o7777, mtimeMs]).toEqual([0o640, Date.parse("2024-01-02T03:04:05Z")]);
  });
});

describe("publish of layers without titles", () => {
  it("brings a single SIF as one file", async () => {
    await pushUntitled("sif:v1", [{ mediaType: "application/vnd.sylabs.sif.layer.v1.sif", bytes: "SIF" }]);
    const volume = await published({ reference: named("sif:v1") });
    expect(await read(volume, "image.sif")).toBe("SIF");
  });

  it("names those of a chart by media type and digest, and says so in the log", async () => {
    const mediaType = "application/vnd.cncf.helm.chart.content.v1.tar+gzip";
    await pushUntitled("chart:v1", [{ mediaType, bytes: "a chart" }]);
    const volume = await published({ reference: named("chart:v1") });
    const [[name, digest] = []] = Object.entries(await contentsOf(volume.target));
    expect(name).toBe(`vnd.cncf.helm.chart.content.v1.tar+gzip-${digest}`);
    await expect.poll(() => plugin.log.some((line) => line.includes("layer without a title"))).toBe(true);
  });
});

describe("publish with a media-type filter", () => {
  beforeAll(async () => {
    await push("typed:v1", ["a.txt:text/plain", "docs/b.txt:text/markdown"]);
  });

  it("takes what fits", async () => {
    const volume = await published({ reference: named("typed:v1"), "media-types": "text/markdown" });
    expect(Object.keys(await contentsOf(volume.target))).toEqual(["docs/b.txt"]);
  });

  it("lists what is there when it takes nothing, and leaves nothing", async () => {
    const volume = await podVolume(plugin, {
      attributes: { reference: named("typed:v1"), "media-types": "text/html" },
    });
    const { code, message } = await refusalOf(volume.publish());
    expect(code).toBe("NOT_FOUND");
    expect(message).toMatch(/text\/html.*text\/plain.*text\/markdown/);
    await expect(stat(volume.target)).rejects.toThrow("ENOENT");
  });
});

describe("publish under the names of csi-driver-oras", () => {
  it("takes its attributes", async () => {
    const volume = await published({
      "oras.artifact.reference": named("typed:v1"),
      "oras.artifact.layers.mediatype": "text/plain",
      "oras.options.pullalways": "true",
      "oras.options.plainhttp": "true",
      "oras.options.insecure": "false",
      "oras.options.concurrency": "4",
    });
    expect(Object.keys(await contentsOf(volume.target))).toEqual(["a.txt"]);
  });

  it("answers by the driver's name that the settings give", async () => {
    await using other = await openPlugin({ settings: { driver: "csi.oras.land" } });
    expect(await other.client.call("Identity", "GetPluginInfo")).toMatchObject({ name: "csi.oras.land" });
    expect(await other.client.call("Node", "NodeGetInfo")).toMatchObject({
      accessible_topology: { segments: { "csi.oras.land/node": "node-1" } },
    });
    expect(await other.stop()).toBe(0);
  });
});

describe("the settings of mounts", () => {
  it.each([
    [{ nosuid: false }, ["nodev"]],
    [{ nodev: false }, ["nosuid"]],
    [{}, ["nosuid", "nodev"]],
  ] as const)("%j leave %j in the kernel's table, on every kind of volume", async (mount, left) => {
    await using other = await openPlugin({ settings: { mount } });
    const flagsAt = async (target: string) =>
      (await mountsAt(target)).map(({ flags }) =>
        flags.filter((flag) => /^(ro|rw|nosuid|nodev)$/.test(flag)),
      );
    const [files, image] = [named("files:v1"), named("image:v1")];
    for (const [attributes, access] of [
      [{ reference: files }, "ro"],
      [{ reference: image }, "ro"],
      [{ reference: image, layout: "copy" }, "ro"],
      [{ reference: files, writable: "true" }, "rw"],
    ] as const) {
      const volume = await podVolume(other, { attributes, writable: access === "rw" });
      await volume.publish();
      expect(await flagsAt(volume.target)).toEqual([[access, ...left]]);
      await volume.unpublish();
    }
    const claim = new ClaimCalls({ plugin: other }, { name: "flags" });
    await claim.runPod(async (at) => expect(await flagsAt(at)).toEqual([["rw", ...left]]));
    await claim.deleteAtLast();
    await nothingLeft(other);
  });
});

describe("publish of a PersistentVolume written by hand", () => {
  it("shows it at two targets, and each goes by itself", async () => {
    const attributes = { reference: named("files:v1") };
    const request = { persistent: true, id: "pv-by-hand" };
    const first = await published(attributes, request);
    const second = await podVolume(plugin, { attributes, ...request });
    await second.publish();
    expect(await contentsOf(second.target)).toEqual(await contentsOf(first.target));
    await second.unpublish();
    expect(await mountsAt(second.target)).toEqual([]);
    expect(await mountsAt(first.target)).toHaveLength(1);
  });
});

describe("stats of a volume", () => {
  it("tell its bytes and inodes, all of them used", async () => {
    const volume = await published({ reference: named("files:v1") });
    const { usage } = (await plugin.client.call("Node", "NodeGetVolumeStats", {
      volume_id: volume.id,
      volume_path: volume.target,
    })) as { usage: ReadonlyArray<Record<string, string>> };
    const [bytes, inodes] = ["BYTES", "INODES"].map((unit) => usage.find((entry) => entry["unit"] === unit));
    expect(Number(bytes?.["used"])).toBeGreaterThanOrEqual(3_000_000);
    expect(bytes).toMatchObject({ available: "0", total: bytes?.["used"] });
    expect(Number(inodes?.["used"])).toBeGreaterThanOrEqual(5);
  });

  it("are not found for what is not published there", async () => {
    const request = { volume_id: "nobody", volume_path: path.join(plugin.folder, "nowhere") };
    expect(await refusalOf(plugin.client.call("Node", "NodeGetVolumeStats", request))).toMatchObject({
      code: "NOT_FOUND",
    });
  });
});

describe("unpublish", () => {
  it("leaves nothing of all these, and keeps the store", async () => {
    for (const volume of open) await volume.unpublish();
    await nothingLeft(plugin);
    for (const { target } of open.splice(0)) await expect(stat(target)).rejects.toThrow("ENOENT");
    expect((await kept(plugin, "layers")).length).toBeGreaterThan(5);
  });

  it("is fine with a volume that is unknown", async () => {
    await (await podVolume(plugin, { attributes: {} })).unpublish();
  });
});
