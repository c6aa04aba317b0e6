// Whatever is wrong is refused in words that help, nothing of it stays, and the next good request works.
import { symlink as makeSymlink, mkdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import path from "node:path";
import { gzipSync, zstdCompressSync } from "node:zlib";
import { execa } from "execa";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import type { Misbehaviour } from "../testing/faults.ts";
import { openRegistryDouble, type RegistryDouble } from "../testing/registry-double.ts";
import { directory, entry, file, hardlink, longName, pax, symlink, tar } from "../testing/tar-bytes.ts";
import type { Asked } from "../testing/wire.ts";
import { directoryPart, INDEX, putFiles, putImage, putParts, unique } from "./artifact.ts";
import { contentsOf } from "./contents.ts";
import { Door, sha256, type Told } from "./door.ts";
import { mountsAt } from "./mounts.ts";
import { openPlugin, type Plugin } from "./plugin.ts";
import { kept, nothingLeft, type Refusal, refusalInTime, refusalOf } from "./remains.ts";
import { type PodRequest, podVolume } from "./volume.ts";

let registry: RegistryDouble;
let plugin: Plugin;
let door: Door;
beforeAll(async () => {
  registry = await openRegistryDouble();
  plugin = await openPlugin({ settings: { store: { high: "64Mi", low: "32Mi" } } });
  door = new Door({ plugin, registry });
});
afterAll(async () => {
  await plugin[Symbol.asyncDispose]();
  await registry[Symbol.asyncDispose]();
});
afterEach(() => {
  registry.mend();
});

const named = (digest: string) => `${registry.host}/a/b@${digest}`;

/** Publishes, shows the content, and takes it down again. */
async function contentOf(attributes: Readonly<Record<string, string>>, more: Partial<PodRequest> = {}) {
  const volume = await podVolume(plugin, { attributes, ...more });
  await volume.publish();
  const found = await contentsOf(volume.target);
  await volume.unpublish();
  return found;
}

const of = (digest: string) => ({ attributes: { reference: named(digest) } });

describe("publish with attributes that are wrong", () => {
  const reference = "r.example/a:v1";
  it.each([
    [{ reference: "https://r.example/a" }, '"https://r.example/a"', "write host/repository:tag"],
    [{ reference: "R.example/UPPER" }, '"UPPER" is not a repository name', "write host/repository:tag"],
    [{ reference: `r.example/a@sha256:${"0".repeat(63)}` }, `"sha256:${"0".repeat(63)}"`, "64 lower-case"],
    [{ refrence: reference }, '"refrence" is unknown', 'the nearest is "reference"'],
    [{}, "reference is missing", "Cannot use the volume's attributes"],
    [
      { reference, "oras.artifact.reference": "r.example/b" },
      '"reference" and "oras.artifact.reference" contradict',
      "leave one of them out",
    ],
    [{ reference, "pull-policy": "Never", "oras.options.pullalways": "true" }, "contradict", "leave one"],
    [{ reference, "pull-policy": "often" }, 'pull-policy "often" is refused', "Always"],
    [{ reference, platform: "linux" }, '"linux"', "such as linux/arm64"],
    [{ reference, size: "2Gi" }, '"size"', 'set writable to "true"'],
    [{ reference, "plain-http": "true" }, "r.example", "allowPlainHttp"],
    [{ reference, insecure: "true" }, "r.example", "allowInsecure"],
  ] as ReadonlyArray<readonly [Record<string, string>, string, string]>)(
    "%j names the value and the remedy",
    async (attributes, value, remedy) => {
      await door.refuses({ attributes }, ["INVALID_ARGUMENT", value, remedy]);
    },
  );
});

describe("publish from a registry that refuses", () => {
  it.each([
    [401, "UNAUTHENTICATED", "give credentials"],
    [403, "UNAUTHENTICATED", "ask for the right"],
    [404, "NOT_FOUND", "check the name"],
    [413, "INVALID_ARGUMENT", "may limit sizes"],
  ])("tells of a %i once and at once, and works when it is over", async (status, code, remedy) => {
    const content = unique();
    const { digest } = putFiles(registry, { a: content });
    registry.spoil(digest, { kind: "status", status }, 2);
    const told: Told = [code, `Cannot use ${named(digest)}`, `answered ${status}`, remedy];
    await door.refuses(of(digest), told, { cured: { shows: { a: sha256(content) } } });
  });

  it("tells of one blob of many that is missing, and goes on from the others", async () => {
    const files = Object.fromEntries(Array.from({ length: 20 }, (_, at) => [`f${at}`, unique(5_000)]));
    const { digest, blobs } = putFiles(registry, files);
    const missing = blobs[13] ?? "";
    registry.spoil(missing, { kind: "status", status: 404 }, 9);
    const told: Told = ["NOT_FOUND", `the blob ${missing}`, "answered 404", "check the name"];
    const shows = Object.fromEntries(Object.entries(files).map(([name, bytes]) => [name, sha256(bytes)]));
    await door.refuses(of(digest), told, { besides: ["partials"], cured: { shows } });
    for (const blob of blobs.filter((other) => other !== missing))
      expect(registry.bytesSent(blob as never), blob).toBe(5_000);
  });

  it.each([
    ["a 429 with Retry-After", { kind: "status", status: 429, headers: { "retry-after": "1" } }],
    ["a 429 without", { kind: "status", status: 429 }],
    ["a 500", { kind: "status", status: 500 }],
    ["a 503", { kind: "status", status: 503 }],
    ["a connection that is cut at once", { kind: "cut", after: 0 }],
  ] as ReadonlyArray<readonly [string, Misbehaviour]>)("gets over %s", async (_, fault) => {
    const content = unique(10_000);
    const { digest, blobs } = putFiles(registry, { a: content });
    registry.spoil(`/manifests/${digest}`, fault, 1);
    registry.spoil(blobs[0] ?? "", fault, 1);
    expect(await contentOf({ reference: named(digest) })).toEqual({ a: sha256(content) });
    await nothingLeft(plugin);
  });

  it.each([
    ["500", { kind: "status", status: 500 }, "answered 500", "tell the registry's administrator"],
    ["503", { kind: "status", status: 503 }, "answered 503", "tell the registry's administrator"],
    ["429", { kind: "status", status: 429 }, "answered 429", "a mirror may raise it"],
    [
      "429 for an hour",
      { kind: "status", status: 429, headers: { "retry-after": "3600" } },
      "answered 429",
      "a mirror may raise it",
    ],
  ] as ReadonlyArray<readonly [string, Misbehaviour, string, string]>)(
    "says what ails it (%s) when the call's time is over, and works when it is well",
    async (_, fault, what, remedy) => {
      const content = unique();
      const { digest } = putFiles(registry, { a: content });
      registry.spoil(digest, fault, 1_000);
      const told: Told = ["UNAVAILABLE", named(digest), what, remedy];
      const asked = { ...of(digest), deadlineMs: 3_000 };
      await door.refuses(asked, told, { cured: { shows: { a: sha256(content) } } });
    },
  );

  it("says of a registry that is not there that nothing listens", async () => {
    const gone = await openRegistryDouble();
    const reference = `${gone.host}/a/b:v1`;
    await gone[Symbol.asyncDispose]();
    const told: Told = ["UNAVAILABLE", reference, "refused the connection", "check that it runs and listens"];
    await door.refuses({ attributes: { reference }, deadlineMs: 1_500 }, told);
  });

  it("says that it asks when the registry hangs, in time for the caller", async () => {
    const content = unique();
    const { digest } = putFiles(registry, { a: content });
    registry.spoil(digest, { kind: "hang" }, 1_000);
    const told: Told = ["ABORTED", `Pulling ${named(digest)}`, "asking the registry"];
    const asked = { ...of(digest), deadlineMs: 1_500 };
    await door.refuses(asked, told, { cured: { shows: { a: sha256(content) } } });
  });

  it("says what ails the registry beside how far it is, while it pulls", async () => {
    const content = unique();
    const { digest } = putFiles(registry, { a: content });
    const isGet = ({ method, path: at }: Asked) => method === "GET" && at.endsWith(`/manifests/${digest}`);
    registry.spoilWhere(isGet, { kind: "cut", after: 0 }, 10_000);
    const volume = await podVolume(plugin, of(digest));
    const isTold = ({ message }: Refusal) => message.includes("broke the connection off, and is asked again");
    let refusal = await refusalInTime(volume, 1_500);
    while (refusal.code === "ABORTED" && !isTold(refusal)) refusal = await refusalInTime(volume, 1_500);
    expect(refusal.code, refusal.message).toBe("ABORTED");
    expect(refusal.message).toContain(`Pulling ${named(digest)}: asking the registry what it is made of; `);
    registry.mend();
    await door.shows(of(digest), { a: sha256(content) });
    await nothingLeft(plugin);
  });
});

describe("publish of bytes that are not what was promised", () => {
  it.each([
    ["wrong bytes", { kind: "wrong-bytes" }, "DATA_LOSS", /have the digest sha256:/, "downloaded again"],
    [
      "no bytes at all",
      { kind: "length", by: -10_000, told: true },
      "DATA_LOSS",
      "promises 0 bytes where 10000 were due",
      "push the artifact again",
    ],
    [
      "too few, found out at the end",
      { kind: "length", by: -1, told: false },
      "DATA_LOSS",
      "fewer than the 10000 bytes",
      "push the artifact again",
    ],
    [
      "too many",
      { kind: "length", by: 1, told: false },
      "DATA_LOSS",
      "more than the 10000 bytes",
      "push the artifact again",
    ],
    [
      "another range",
      { kind: "other-range", by: 7 },
      "DATA_LOSS",
      '"bytes 7-10006/10000" to a request for 0-9999',
      "push the artifact again",
    ],
    [
      "another size",
      { kind: "other-size", by: 7 },
      "DATA_LOSS",
      "holds 10007 bytes where the manifest says 10000",
      "push the artifact again",
    ],
    ["no HTTP", { kind: "not-http" }, "UNAVAILABLE", "what is not HTTP", '"plainHttp"'],
  ] as ReadonlyArray<readonly [string, Misbehaviour, string, string | RegExp, string]>)(
    "refuses %s, keeps none of them, and takes the right ones",
    async (_, fault, code, what, remedy) => {
      const content = unique(10_000);
      const { digest, blobs } = putFiles(registry, { a: content });
      registry.spoil(blobs[0] ?? "", fault, 1_000);
      const told: Told = [code, blobs[0] ?? "", what, remedy];
      await door.refuses(of(digest), told, { cured: { shows: { a: sha256(content) } } });
    },
  );

  it("takes a 200 and everything where it asked for ranges", async () => {
    const content = unique(3 * 2 ** 20);
    const { digest, blobs } = putFiles(registry, { a: content });
    registry.spoil(blobs[0] ?? "", { kind: "whole" }, 1_000);
    await door.shows(of(digest), { a: sha256(content) });
    await nothingLeft(plugin);
  });

  it("goes on where a connection was cut, at any byte", async () => {
    const content = unique(3 * 2 ** 20 + 11);
    const { digest, blobs } = putFiles(registry, { a: content });
    for (const after of [1, 65_537, 2 ** 20, 2 ** 20 + 1])
      registry.spoil(blobs[0] ?? "", { kind: "cut", after }, 1);
    expect(await contentOf({ reference: named(digest) })).toEqual({ a: sha256(content) });
    await nothingLeft(plugin);
  });

  it("refuses a manifest of another digest", async () => {
    const { digest } = putFiles(registry, { a: unique() });
    const lie = registry.manifest(JSON.stringify({ schemaVersion: 2 }), {
      as: digest.replace(/.$/, (last) => (last === "0" ? "1" : "0")) as never,
    });
    const told: Told = ["DATA_LOSS", named(lie), "a manifest of another digest", "push the artifact again"];
    await door.refuses(of(lie), told);
  });

  it("refuses a manifest of 40 MiB", async () => {
    const digest = registry.manifest(Buffer.alloc(40 * 2 ** 20, " "));
    await door.refuses(of(digest), ["INVALID_ARGUMENT", "40 MiB", "32 MiB is the most", "in smaller parts"]);
  });

  const indexOf = (digest: string, as?: string) =>
    registry.manifest(
      JSON.stringify({
        schemaVersion: 2,
        mediaType: INDEX,
        manifests: [
          { mediaType: INDEX, digest, size: 300, platform: { os: "linux", architecture: "amd64" } },
        ],
      }),
      { mediaType: INDEX, ...(as === undefined ? {} : { as: as as never }) },
    );

  it("refuses indexes nested beyond reason", async () => {
    let { digest } = putFiles(registry, { a: unique() });
    for (let depth = 0; depth < 6; depth++) digest = indexOf(digest);
    await door.refuses(of(digest), ["INVALID_ARGUMENT", digest, "nested", "name the digest"]);
  });

  it("refuses indexes in a circle, which no digest can be true of", async () => {
    const [one, other] = [`sha256:${"ab".repeat(32)}`, `sha256:${"cd".repeat(32)}`];
    indexOf(other, one);
    indexOf(one, other);
    const self = indexOf(one);
    const told: Told = ["DATA_LOSS", one, "a manifest of another digest", "push the artifact again"];
    for (const digest of [one, self]) await door.refuses(of(digest), told);
  });

  it("refuses Docker's schema 1 by name", async () => {
    const mediaType = "application/vnd.docker.distribution.manifest.v1+prettyjws";
    const digest = registry.manifest(JSON.stringify({ schemaVersion: 1, name: "a/b", fsLayers: [] }), {
      mediaType,
    });
    const told: Told = ["INVALID_ARGUMENT", digest, "Docker schema 1", "push the artifact again"];
    await door.refuses(of(digest), told);
  });
});

describe("publish of a hostile archive", () => {
  const outside = "/tmp/larder-was-here";
  const up = "../".repeat(20);
  const onlyImages = "a device node or a fifo, which only images may hold; pack it without";
  const part = (name: string) => JSON.stringify(name);
  it.each([
    [
      "..",
      tar(file(`d/${up}tmp/larder-was-here`, "x")),
      part(`d/${up}tmp/larder-was-here`),
      '".." in its name; pack it without',
    ],
    [
      "an absolute name",
      tar(file(outside, "x")),
      part(outside),
      "an absolute name; pack it with relative names",
    ],
    [
      "a name outside its title",
      tar(file("elsewhere/x", "x")),
      '"elsewhere/x"',
      'under "d", which the layer is titled; push it again',
    ],
    [
      "a symlink to go through",
      tar(symlink("d/out", "/tmp"), file("d/out/larder-was-here", "x")),
      '"d/out/larder-was-here"',
      'through "d/out", which is a symlink; pack it again',
    ],
    [
      "a hardlink to the node's own",
      tar(hardlink("d/passwd", "/etc/passwd")),
      '"/etc/passwd"',
      "an absolute name; pack it with relative names",
    ],
    [
      "a hardlink that leads out",
      tar(hardlink("d/passwd", `${up}etc/passwd`)),
      part(`${up}etc/passwd`),
      '".." in its name; pack it without',
    ],
    [
      "a hardlink through a symlink",
      tar(symlink("d/etc", "/etc"), hardlink("d/p", "d/etc/passwd")),
      '"d/etc/passwd"',
      "through a symlink; pack it again",
    ],
    ["the device 0:0", tar(entry({ name: "d/null", type: "3", device: [0, 0] })), '"d/null"', onlyImages],
    ["a block device", tar(entry({ name: "d/disk", type: "4", device: [8, 0] })), '"d/disk"', onlyImages],
    ["a fifo", tar(entry({ name: "d/pipe", type: "6" })), '"d/pipe"', onlyImages],
    ["a negative size", tar(entry({ name: "d/x", size: -1 })), "negative number -1", "pack it again"],
    [
      "a size beyond everything",
      tar(entry({ name: "d/x", size: 2n ** 60n })),
      "1152921504606846976",
      "pack it again",
    ],
    [
      "a wrong checksum",
      tar(entry({ name: "d/x", data: "x", checksum: 1 })),
      "checksum is wrong",
      "pack it again",
    ],
    [
      "a name with NUL",
      tar(pax([["path", "d/a\0b"]]), file("d/x", "x")),
      String.raw`"d/a\u0000b"`,
      "a NUL in its name; pack it again without",
    ],
    [
      "a component of 4 KiB",
      tar(longName(`d/${"x".repeat(4_096)}`), file("d/x", "x")),
      "xxxx",
      "longer than 255",
    ],
    [
      "an end in mid-entry",
      tar(file("d/x", unique(5_000))).subarray(0, 3_000),
      "in the middle of an entry",
      "pack it again",
    ],
  ] as ReadonlyArray<readonly [string, Buffer, string, string]>)(
    "with %s is refused, and writes nothing anywhere",
    async (_, archive, value, remedy) => {
      await rm(outside, { force: true });
      const { digest, blobs } = putParts(registry, [directoryPart("d", gzipSync(archive))]);
      const told: Told = ["INVALID_ARGUMENT", `Cannot unpack the layer ${blobs[0]}`, value, remedy];
      await door.refuses(of(digest), told);
      await expect(stat(outside)).rejects.toThrow("ENOENT");
    },
  );

  it("drops trusted attributes, which an overlay would obey", async () => {
    const mark = pax([["SCHILY.xattr.trusted.overlay.opaque", "y"]]);
    const archives = [
      tar(directory("d/"), file("d/below", "below")),
      tar(mark, directory("d/"), file("d/above", "above")),
    ];
    const { digest } = putImage(registry, archives);
    const found = await contentOf({ reference: named(digest) });
    expect(Object.keys(found)).toEqual(["d/above", "d/below"]);
  });

  it.each([
    ["gzip", gzipSync(tar(file("d/a", unique(200_000)))).subarray(0, 100_000)],
    ["zstd", zstdCompressSync(tar(file("d/a", unique(200_000)))).subarray(0, 100_000)],
  ])("refuses %s that is cut", async (kind, bytes) => {
    const mediaType = `application/vnd.oci.image.layer.v1.tar+${kind}`;
    const { digest, blobs } = putParts(registry, [{ ...directoryPart("d", bytes), mediaType }]);
    const told: Told = ["INVALID_ARGUMENT", blobs[0] ?? "", `its ${kind} stream is broken`, "push it again"];
    await door.refuses(of(digest), told);
  });

  it.each([
    ["gzip", gzipSync(tar(file("d/a", "a")))],
    ["zstd", zstdCompressSync(tar(file("d/a", "a")))],
  ])("refuses %s that something else follows", async (kind, bytes) => {
    const mediaType = `application/vnd.oci.image.layer.v1.tar+${kind}`;
    const followed = Buffer.concat([bytes, Buffer.from("something else")]);
    const { digest, blobs } = putParts(registry, [{ ...directoryPart("d", followed), mediaType }]);
    await door.refuses(of(digest), [
      "INVALID_ARGUMENT",
      `Cannot unpack the layer ${blobs[0]}`,
      "push it again",
    ]);
  });

  it.each([
    ["gzip", (bytes: Buffer) => gzipSync(bytes)],
    ["zstd", (bytes: Buffer) => zstdCompressSync(bytes)],
  ])("ends a %s bomb full, with the sizes", async (kind, compress) => {
    const bomb = compress(tar(file("d/zeros", Buffer.alloc(150 * 2 ** 20))));
    const mediaType = `application/vnd.oci.image.layer.v1.tar+${kind}`;
    const { digest, blobs } = putParts(registry, [{ ...directoryPart("d", bomb), mediaType }]);
    const told: Told = ["RESOURCE_EXHAUSTED", blobs[0] ?? "", /of at most 64 MiB/, "raise store.high"];
    await door.refuses(of(digest), told, { collects: true });
  });
});

describe("publish of hostile titles", () => {
  it.each(["../up", "a/../../up", "/absolute", "", ".", "nul\0", "a/"])("refuses %j", async (title) => {
    const { digest } = putFiles(registry, { [title]: unique() });
    const told: Told = ["INVALID_ARGUMENT", `the title ${JSON.stringify(title)}`, "with relative paths"];
    await door.refuses(of(digest), told);
  });

  it("refuses the same title twice", async () => {
    const annotations = { "org.opencontainers.image.title": "twin" };
    const { digest } = putParts(registry, [
      { bytes: unique(), annotations },
      { bytes: unique(), annotations },
    ]);
    await door.refuses(of(digest), ["INVALID_ARGUMENT", '"twin"', "give each layer a title of its own"]);
  });
});

describe("publish at a target", () => {
  const good = () => ({ reference: named(putFiles(registry, { a: "a" }).digest) });

  const podIn = (target: string) => target.split("/pods/")[1]?.split("/")[0] ?? "";

  async function oddTarget(make: (target: string) => Promise<void>) {
    const { pod, target } = await plugin.target();
    await make(target);
    return { pod, target };
  }

  it("that is a file refuses, and leaves the file", async () => {
    const { pod, target } = await oddTarget((at) => writeFile(at, "somebody's"));
    const told: Told = ["ALREADY_EXISTS", `Cannot mount at "${target}"`, "it is a file", "move that away"];
    await door.refuses({ attributes: good(), pod, target }, told);
    expect(await readFile(target, "utf8")).toBe("somebody's");
    await rm(target);
    await door.shows({ attributes: good(), pod, target }, { a: sha256("a") });
  });

  it("that is a symlink refuses, and touches nothing behind it", async () => {
    const elsewhere = path.join(plugin.folder, "elsewhere");
    await mkdir(elsewhere, { recursive: true });
    const { pod, target } = await oddTarget((at) => makeSymlink(elsewhere, at));
    const told: Told = ["ALREADY_EXISTS", `Cannot mount at "${target}"`, "a symlink", "move that away"];
    await door.refuses({ attributes: good(), pod, target }, told);
    expect(await mountsAt(elsewhere)).toEqual([]);
    await rm(target);
    await door.shows({ attributes: good(), pod, target }, { a: sha256("a") });
  });

  it("that is not empty refuses, and leaves what is there", async () => {
    const { pod, target } = await oddTarget(async (at) => {
      await mkdir(at);
      await writeFile(path.join(at, "mine"), "x");
    });
    await door.refuses({ attributes: good(), pod, target }, [
      "ALREADY_EXISTS",
      target,
      '"mine"',
      "move its content away",
    ]);
    expect(await readFile(path.join(target, "mine"), "utf8")).toBe("x");
  });

  it("that another volume has refuses, and leaves that one mounted", async () => {
    const volume = await podVolume(plugin, { attributes: good() });
    await volume.publish();
    const other = await podVolume(plugin, {
      attributes: { ...good(), "csi.storage.k8s.io/pod.uid": podIn(volume.target) },
      target: volume.target,
    });
    const { code, message } = await refusalOf(other.publish());
    expect([code, message]).toEqual([
      "ALREADY_EXISTS",
      expect.stringContaining(`the volume "${volume.id}" is there; unpublish or unstage that first`),
    ]);
    expect(Object.keys(await contentsOf(volume.target))).toEqual(["a"]);
    await volume.unpublish();
    await other.publish();
    await other.unpublish();
    await nothingLeft(plugin);
  });

  it.each([
    ["mount", ["-t", "tmpfs", "other"]],
    ["overlay", ["-t", "overlay", "-o", "ro,lowerdir=/etc:/usr", "other"]],
  ])("that is another's %s refuses, both ways, and leaves it", async (_, mount) => {
    const { pod, target } = await oddTarget((at) => mkdir(at).then(() => undefined));
    await execa("mount", [...mount, target]);
    try {
      const volume = await podVolume(plugin, { attributes: good(), pod, target });
      const calls = [() => volume.publish(), () => volume.unpublish()];
      for (const call of calls) {
        const { code, message } = await refusalOf(call());
        expect([code, message]).toEqual(["ALREADY_EXISTS", expect.stringContaining("unmount it first")]);
      }
      expect(await mountsAt(target)).toHaveLength(1);
    } finally {
      await execa("umount", [target]);
    }
    await nothingLeft(plugin);
  });

  it("with spaces, newlines and backslashes works", async () => {
    const { pod, target } = await plugin.target(undefined, "a vol\nume\\040 with\ttabs");
    expect(Object.keys(await contentOf(good(), { pod, target }))).toEqual(["a"]);
    await expect(stat(target)).rejects.toThrow("ENOENT");
    await nothingLeft(plugin);
  });

  it("that somebody stacked mounts of ours on is cleared of all of them", async () => {
    const volume = await podVolume(plugin, { attributes: good() });
    await volume.publish();
    await execa("mount", ["--bind", volume.target, volume.target]);
    expect(await mountsAt(volume.target)).toHaveLength(2);
    await volume.unpublish();
    expect(await mountsAt(volume.target)).toEqual([]);
    await nothingLeft(plugin);
  });

  it("of another pod is a forgery, as is an inline volume without a pod", async () => {
    const other = await plugin.target();
    const forged: Told = ["INVALID_ARGUMENT", other.target, "leave both to the kubelet"];
    await door.refuses({ attributes: good(), target: other.target }, forged);
    const anonymous = { ...good(), "csi.storage.k8s.io/pod.uid": "" };
    const told: Told = ["INVALID_ARGUMENT", '"csi.storage.k8s.io/pod.uid"', "podInfoOnMount: true"];
    await door.refuses({ attributes: anonymous }, told);
  });
});

describe("unpublish while a pod has a file open", () => {
  it("is refused as in use, keeps the Record, and works afterwards", async () => {
    const volume = await podVolume(plugin, {
      attributes: { reference: named(putFiles(registry, { a: "a" }).digest) },
    });
    await volume.publish();
    const holder = execa("tail", ["-f", path.join(volume.target, "a")], { reject: false, stdin: "ignore" });
    try {
      await expect
        .poll(() => readFile(`/proc/${holder.pid}/cmdline`, "utf8"))
        .toContain(path.join(volume.target, "a"));
      await expect
        .poll(async () => (await execa("ls", ["-l", `/proc/${holder.pid}/fd`])).stdout)
        .toContain(volume.target);
      expect(await refusalOf(volume.unpublish())).toMatchObject({ code: "FAILED_PRECONDITION" });
      expect(await kept(plugin, "records")).toHaveLength(1);
    } finally {
      holder.kill();
      await holder;
    }
    await volume.unpublish();
    await nothingLeft(plugin);
  });
});
