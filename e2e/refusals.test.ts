// Whatever is wrong is refused in words that help, nothing of it stays, and the next good request works.
import { createHash } from "node:crypto";
import { symlink as makeSymlink, mkdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import path from "node:path";
import { gzipSync, zstdCompressSync } from "node:zlib";
import { execa } from "execa";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import type { Misbehaviour } from "../testing/faults.ts";
import { openRegistryDouble, type RegistryDouble } from "../testing/registry-double.ts";
import { directory, entry, file, hardlink, pax, symlink, tar } from "../testing/tar-bytes.ts";
import { directoryPart, INDEX, putFiles, putImage, putParts, unique } from "./artifact.ts";
import { contentsOf } from "./contents.ts";
import { mountsAt } from "./mounts.ts";
import { openPlugin, type Plugin } from "./plugin.ts";
import { kept, nothingLeft, type Refusal, refusalInTime, refusalOf } from "./remains.ts";
import { type PodRequest, podVolume } from "./volume.ts";

let registry: RegistryDouble;
let plugin: Plugin;
beforeAll(async () => {
  registry = await openRegistryDouble();
  plugin = await openPlugin({ settings: { store: { high: "64Mi", low: "32Mi" } } });
});
afterAll(async () => {
  await plugin[Symbol.asyncDispose]();
  await registry[Symbol.asyncDispose]();
});
afterEach(() => {
  registry.mend();
});

const named = (digest: string) => `${registry.host}/a/b@${digest}`;

/** Publishes, which must be refused, and checks that nothing of the volume is left. */
async function refused(
  attributes: Readonly<Record<string, string>>,
  more: Partial<PodRequest> & {
    readonly deadlineMs?: number;
    readonly besides?: readonly string[];
    /** It needs room, so that others' Trees may go. */
    readonly collects?: boolean;
  } = {},
): Promise<Refusal> {
  const volume = await podVolume(plugin, { attributes, ...more });
  const layers = await kept(plugin, "layers");
  const trees = await kept(plugin, "trees");
  const { deadlineMs = 60_000 } = more;
  const refusal = await refusalInTime(volume, deadlineMs);
  if (more.target === undefined) await expect(stat(volume.target)).rejects.toThrow("ENOENT");
  await nothingLeft(plugin, more.besides);
  const collected = (names: readonly string[]) => (more.collects === true ? expect.any(Array) : names);
  expect(await kept(plugin, "trees")).toEqual(collected(trees));
  if (more.besides === undefined) expect(await kept(plugin, "layers")).toEqual(collected(layers));
  return refusal;
}

/** Publishes, shows the content, and takes it down again. */
async function contentOf(attributes: Readonly<Record<string, string>>, more: Partial<PodRequest> = {}) {
  const volume = await podVolume(plugin, { attributes, ...more });
  await volume.publish();
  const found = await contentsOf(volume.target);
  await volume.unpublish();
  return found;
}

const sha256 = (bytes: Uint8Array | string) => createHash("sha256").update(bytes).digest("hex");

describe("publish with attributes that are wrong", () => {
  const reference = "r.example/a:v1";
  it.each([
    [{ reference: "https://r.example/a" }, "https://r.example/a", "write host/repository:tag"],
    [{ reference: "R.example/UPPER" }, "UPPER", "is not a repository name"],
    [{ reference: `r.example/a@sha256:${"0".repeat(63)}` }, "sha256:000", "64 lower-case"],
    [{ refrence: reference }, '"refrence" is unknown', 'the nearest is "reference"'],
    [{}, "reference is missing", ""],
    [{ reference, "oras.artifact.reference": "r.example/b" }, "contradict", "leave one of them out"],
    [{ reference, platform: "linux" }, '"linux"', ""],
    [{ reference, size: "2Gi" }, '"size"', 'set writable to "true"'],
    [{ reference, "plain-http": "true" }, "r.example", "allowPlainHttp"],
    [{ reference, insecure: "true" }, "r.example", "allowInsecure"],
  ] as ReadonlyArray<readonly [Record<string, string>, string, string]>)(
    "%j names the value and the remedy",
    async (attributes, value, remedy) => {
      const { code, message } = await refused(attributes);
      expect(code).toBe("INVALID_ARGUMENT");
      expect(message).toContain(value);
      expect(message).toContain(remedy);
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
    const refusal = await refused({ reference: named(digest) });
    expect(refusal.code).toBe(code);
    expect(refusal.message).toContain(digest);
    expect(refusal.message).toContain(String(status));
    expect(refusal.message).toContain(remedy);
    registry.mend();
    expect(await contentOf({ reference: named(digest) })).toEqual({ a: sha256(content) });
  });

  it("tells of one blob of many that is missing, and goes on from the others", async () => {
    const files = Object.fromEntries(Array.from({ length: 20 }, (_, at) => [`f${at}`, unique(5_000)]));
    const { digest, blobs } = putFiles(registry, files);
    const missing = blobs[13] ?? "";
    registry.spoil(missing, { kind: "status", status: 404 }, 9);
    const { code, message } = await refused({ reference: named(digest) }, { besides: ["partials"] });
    expect([code, message]).toEqual(["NOT_FOUND", expect.stringContaining(missing)]);
    registry.mend();
    expect(Object.keys(await contentOf({ reference: named(digest) }))).toHaveLength(20);
    await nothingLeft(plugin);
    for (const blob of blobs.filter((other) => other !== missing))
      expect(registry.bytesSent(blob as never), blob).toBe(5_000);
  });

  it.each([
    ["a 429 with Retry-After", { kind: "status", status: 429, headers: { "retry-after": "1" } }],
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

  it("says what ails the registry when the call's time is over, and works when it is well", async () => {
    const content = unique();
    const { digest } = putFiles(registry, { a: content });
    registry.spoil(digest, { kind: "status", status: 500 }, 1_000);
    const { code, message } = await refused({ reference: named(digest) }, { deadlineMs: 5_000 });
    expect(code).toBe("UNAVAILABLE");
    expect(message).toContain("the registry answered 500");
    registry.mend();
    expect(await contentOf({ reference: named(digest) })).toEqual({ a: sha256(content) });
  });

  it("says that it asks when the registry hangs, in time for the caller", async () => {
    const { digest } = putFiles(registry, { a: unique() });
    registry.spoil(digest, { kind: "hang" }, 1_000);
    const { code, message } = await refused({ reference: named(digest) }, { deadlineMs: 1_500 });
    expect(code).toBe("ABORTED");
    expect(message).toContain("asking the registry");
    registry.mend();
    expect(Object.keys(await contentOf({ reference: named(digest) }))).toEqual(["a"]);
  });
});

describe("publish of bytes that are not what was promised", () => {
  it.each([
    ["wrong bytes", { kind: "wrong-bytes" }, "DATA_LOSS"],
    ["no bytes at all", { kind: "length", by: -10_000, told: true }, "DATA_LOSS"],
    ["too few, found out at the end", { kind: "length", by: -1, told: false }, "DATA_LOSS"],
    ["too many", { kind: "length", by: 1, told: false }, "DATA_LOSS"],
    ["another range", { kind: "other-range", by: 7 }, "DATA_LOSS"],
    ["another size", { kind: "other-size", by: 7 }, "DATA_LOSS"],
    ["no HTTP", { kind: "not-http" }, "UNAVAILABLE"],
  ] as ReadonlyArray<readonly [string, Misbehaviour, string]>)(
    "refuses %s, keeps none of them, and takes the right ones",
    async (_, fault, code) => {
      const content = unique(10_000);
      const { digest, blobs } = putFiles(registry, { a: content });
      registry.spoil(blobs[0] ?? "", fault, 1_000);
      const refusal = await refused({ reference: named(digest) }, { deadlineMs: 100_000 });
      expect(refusal.message).toContain(blobs[0]);
      expect(refusal.code).toBe(code);
      registry.mend();
      expect(await contentOf({ reference: named(digest) })).toEqual({ a: sha256(content) });
    },
  );

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
    const { code, message } = await refused({ reference: named(lie) });
    expect([code, message]).toEqual(["DATA_LOSS", expect.stringContaining(lie)]);
  });

  it("refuses a manifest of 40 MiB", async () => {
    const digest = registry.manifest(Buffer.alloc(40 * 2 ** 20, " "));
    const { code, message } = await refused({ reference: named(digest) });
    expect(code).toBe("INVALID_ARGUMENT");
    expect(message).toMatch(/32 ?MiB|33554432/);
  });

  it("refuses indexes nested beyond reason, and one that leads back to itself", async () => {
    const platform = { os: "linux", architecture: "amd64" };
    const wrap = (digest: string, as?: string) =>
      registry.manifest(
        JSON.stringify({
          schemaVersion: 2,
          mediaType: INDEX,
          manifests: [{ mediaType: INDEX, digest, size: 300, platform }],
        }),
        { mediaType: INDEX, ...(as === undefined ? {} : { as: as as never }) },
      );
    let { digest } = putFiles(registry, { a: unique() });
    for (let depth = 0; depth < 6; depth++) digest = wrap(digest);
    const deep = await refused({ reference: named(digest) });
    expect([deep.code, deep.message]).toEqual(["INVALID_ARGUMENT", expect.stringContaining("nested")]);
    const self = `sha256:${"ab".repeat(32)}`;
    wrap(self, self);
    expect((await refused({ reference: named(self) })).code).toBe("DATA_LOSS");
  });

  it("refuses Docker's schema 1 by name", async () => {
    const mediaType = "application/vnd.docker.distribution.manifest.v1+prettyjws";
    const digest = registry.manifest(JSON.stringify({ schemaVersion: 1, name: "a/b", fsLayers: [] }), {
      mediaType,
    });
    const { code, message } = await refused({ reference: named(digest) });
    expect([code, message]).toEqual(["INVALID_ARGUMENT", expect.stringMatching(/schema ?(version )?1/i)]);
  });
});

describe("publish of a hostile archive", () => {
  const outside = "/tmp/larder-e2e-was-here";
  const up = "../".repeat(30);
  it.each([
    ["..", tar(file(`d/${up}tmp/larder-e2e-was-here`, "x"))],
    ["an absolute name", tar(file(outside, "x"))],
    ["a name outside its title", tar(file("elsewhere/x", "x"))],
    ["a symlink to go through", tar(symlink("d/out", "/tmp"), file("d/out/larder-e2e-was-here", "x"))],
    ["a hardlink to the node's own", tar(hardlink("d/passwd", "/etc/passwd"))],
    ["a hardlink through a symlink", tar(symlink("d/etc", "/etc"), hardlink("d/p", "d/etc/passwd"))],
    ["the device 0:0", tar(entry({ name: "d/null", type: "3", device: [0, 0] }))],
    ["a block device", tar(entry({ name: "d/disk", type: "4", device: [8, 0] }))],
    ["a negative size", tar(entry({ name: "d/x", size: -1 }))],
    ["a size beyond everything", tar(entry({ name: "d/x", size: 2n ** 60n }))],
    ["a wrong checksum", tar(entry({ name: "d/x", data: "x", checksum: 1 }))],
    ["a name with NUL", tar(pax([["path", "d/a\0b"]]), file("d/x", "x"))],
  ] as ReadonlyArray<readonly [string, Buffer]>)(
    "with %s writes nothing anywhere else",
    async (_, archive) => {
      await rm(outside, { force: true });
      const { digest } = putParts(registry, [directoryPart("d", gzipSync(archive))]);
      const volume = await podVolume(plugin, { attributes: { reference: named(digest) } });
      const end = await volume.publish().then(
        () => "OK",
        (error: { code: string }) => error.code,
      );
      // Refused, or shown without what it tried: never INTERNAL, never anything outside.
      expect(["OK", "INVALID_ARGUMENT", "DATA_LOSS"]).toContain(end);
      if (end === "OK") {
        const found = await contentsOf(volume.target);
        expect(Object.values(found).filter((what) => what.startsWith("odd"))).toEqual([]);
        await volume.unpublish();
      }
      await expect(stat(outside)).rejects.toThrow("ENOENT");
      await nothingLeft(plugin);
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
    const part = directoryPart("d", bytes);
    const mediaType = `application/vnd.oci.image.layer.v1.tar+${kind}`;
    const { digest } = putParts(registry, [{ ...part, mediaType }]);
    const { code, message } = await refused({ reference: named(digest) });
    expect(["DATA_LOSS", "INVALID_ARGUMENT"]).toContain(code);
    expect(message).toContain(`sha256:${sha256(bytes)}`);
  });

  it.each([
    ["gzip", (bytes: Buffer) => gzipSync(bytes)],
    ["zstd", (bytes: Buffer) => zstdCompressSync(bytes)],
  ])("ends a %s bomb full, with the sizes", async (kind, compress) => {
    const bomb = compress(tar(file("d/zeros", Buffer.alloc(150 * 2 ** 20))));
    const mediaType = `application/vnd.oci.image.layer.v1.tar+${kind}`;
    const { digest } = putParts(registry, [{ ...directoryPart("d", bomb), mediaType }]);
    const { code, message } = await refused({ reference: named(digest) }, { collects: true });
    expect(code).toBe("RESOURCE_EXHAUSTED");
    expect(message).toMatch(/64 MiB.*store\.high/s);
    const content = unique();
    const good = putFiles(registry, { a: content });
    expect(await contentOf({ reference: named(good.digest) })).toEqual({ a: sha256(content) });
  });
});

describe("publish of hostile titles", () => {
  it.each(["../up", "a/../../up", "/absolute", "", ".", "nul\0", "a/"])("refuses %j", async (title) => {
    const { digest } = putFiles(registry, { [title]: unique() });
    const { code, message } = await refused({ reference: named(digest) });
    expect(code).toBe("INVALID_ARGUMENT");
    expect(message).toContain("relative paths");
  });

  it("refuses the same title twice", async () => {
    const annotations = { "org.opencontainers.image.title": "twin" };
    const { digest } = putParts(registry, [
      { bytes: unique(), annotations },
      { bytes: unique(), annotations },
    ]);
    const { code, message } = await refused({ reference: named(digest) });
    expect([code, message]).toEqual(["INVALID_ARGUMENT", expect.stringContaining('"twin"')]);
  });
});

describe("publish at a target", () => {
  const good = () => ({ reference: named(putFiles(registry, { a: "a" }).digest) });

  async function oddTarget(make: (target: string) => Promise<void>) {
    const { pod, target } = await plugin.target();
    await make(target);
    return { pod, target };
  }

  it("that is a file refuses, and leaves the file", async () => {
    const { pod, target } = await oddTarget((at) => writeFile(at, "somebody's"));
    const { code, message } = await refused(good(), { pod, target });
    expect(code).not.toBe("INTERNAL");
    expect(message).toContain(target);
    expect(await readFile(target, "utf8")).toBe("somebody's");
  });

  it("that is a symlink refuses, and touches nothing behind it", async () => {
    const elsewhere = path.join(plugin.folder, "elsewhere");
    await mkdir(elsewhere, { recursive: true });
    const { pod, target } = await oddTarget((at) => makeSymlink(elsewhere, at));
    const { code, message } = await refused(good(), { pod, target });
    expect(code).not.toBe("INTERNAL");
    expect(message).toContain(target);
    expect(await mountsAt(elsewhere)).toEqual([]);
  });

  it("that is not empty refuses, and leaves what is there", async () => {
    const { pod, target } = await oddTarget(async (at) => {
      await mkdir(at);
      await writeFile(path.join(at, "mine"), "x");
    });
    const { code, message } = await refused(good(), { pod, target });
    expect([code, message]).toEqual(["ALREADY_EXISTS", expect.stringContaining('"mine"')]);
    expect(await readFile(path.join(target, "mine"), "utf8")).toBe("x");
  });

  it("that is another's mount refuses, both ways, and leaves it", async () => {
    const { pod, target } = await oddTarget((at) => mkdir(at).then(() => undefined));
    await execa("mount", ["-t", "tmpfs", "other", target]);
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
    const { code, message } = await refused(good(), { target: other.target });
    expect([code, message]).toEqual(["INVALID_ARGUMENT", expect.stringContaining(other.target)]);
    const anonymous = await refused({ ...good(), "csi.storage.k8s.io/pod.uid": "" });
    expect([anonymous.code, anonymous.message]).toEqual([
      "INVALID_ARGUMENT",
      expect.stringContaining("podInfoOnMount: true"),
    ]);
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
