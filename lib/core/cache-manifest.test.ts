import { describe, expect, it } from "vitest";
import { composeVersion, readVersion, type VersionContent } from "./cache-manifest.ts";
import { digestOf } from "./digest.ts";
import { type Manifest, parseManifest } from "./manifest.ts";
import { planTree } from "./plan-tree.ts";

const layer = (name: string, compression: string) => ({
  mediaType: `application/vnd.oci.image.layer.v1.tar+${compression}`,
  digest: digestOf(name),
  size: name.length,
  diffId: digestOf(`${name}-`),
  isWritten: name !== "base",
});
const content: VersionContent = {
  key: "main/1.2 ä",
  version: { timeMs: 1.7e12, id: "k3x9" },
  bytes: 4096,
  isKeyless: false,
  platform: { os: "linux", architecture: "aarch64" },
  layers: [layer("base", "zstd"), layer("delta", "zstd")],
};
const manifestOf = (change: Partial<VersionContent> = {}): Manifest => {
  const manifest = parseManifest(composeVersion({ ...content, ...change }).manifest.bytes);
  if (manifest.kind !== "manifest") throw new Error("an index");
  return manifest;
};
const saying = (name: string, value: string): Manifest => {
  const manifest = manifestOf();
  return {
    ...manifest,
    annotations: new Map([...manifest.annotations, [`dev.larder.cache.${name}`, value]]),
  };
};

describe("composeVersion()", () => {
  it("makes an image that planTree() takes for its layers, in order", () => {
    const { config, manifest } = composeVersion(content);
    const parsed = manifestOf();
    expect(parsed.artifactType).toBe("application/vnd.larder.cache.v1");
    expect(parsed.config.digest).toBe(digestOf(config));
    expect(manifest.digest).toBe(digestOf(manifest.bytes));
    expect(planTree(parsed, config).layers).toMatchObject([
      { kind: "image", compression: "zstd", blob: { digest: digestOf("base") }, diffId: digestOf("base-") },
      { kind: "image", compression: "zstd", blob: { digest: digestOf("delta") }, diffId: digestOf("delta-") },
    ]);
    expect(JSON.parse(new TextDecoder().decode(config))).toEqual({
      architecture: "arm64",
      os: "linux",
      config: {},
      rootfs: { type: "layers", diff_ids: [digestOf("base-"), digestOf("delta-")] },
    });
  });

  it("is an image too where oras unpacks it", () => {
    const portable = { layers: [{ ...layer("all", "gzip"), title: "." }] };
    expect(manifestOf(portable).layers[0]?.annotations).toEqual(
      new Map([
        ["dev.larder.cache.written", "true"],
        ["io.deis.oras.content.digest", digestOf("all-")],
        ["io.deis.oras.content.unpack", "true"],
        ["org.opencontainers.image.title", "."],
      ]),
    );
    const { config } = composeVersion({ ...content, ...portable });
    expect(planTree(manifestOf(portable), config).layers).toMatchObject([
      { kind: "image", compression: "gzip" },
    ]);
  });

  it("tells what claims wrote, which keeps setuid bits, from what they began with, which keeps them by setting", () => {
    const kept = (manifest: Manifest, keepSetuid = false) =>
      planTree(manifest, composeVersion(content).config, { keepSetuid }).layers.map(
        (plan) => plan.kind === "image" && plan.keepSetuid,
      );
    expect(kept(manifestOf())).toEqual([false, true]);
    expect(kept(manifestOf(), true)).toEqual([true, true]);
    const { artifactType: _, ...image } = manifestOf();
    expect(kept(image)).toEqual([false, false]);
    const ids = (manifest: Manifest) =>
      planTree(manifest, composeVersion(content).config).layers.map(({ id }) => id);
    const [base, delta] = ids(manifestOf());
    expect(ids(image)[0]).toBe(base);
    expect(ids(image)[1]).not.toBe(delta);
  });

  it("gives the same bytes for the same content", () => {
    expect(composeVersion(content)).toEqual(composeVersion({ ...content }));
    expect(composeVersion({ ...content, bytes: 1 }).manifest.digest).not.toBe(
      composeVersion(content).manifest.digest,
    );
  });
});

describe("readVersion()", () => {
  it.each([
    ["plain", {}],
    ["keyless", { isKeyless: true }],
    ["of a long key", { key: "k".repeat(200) }],
  ])("reads what composeVersion() wrote: %s", (_, change) => {
    const { key, version, bytes, isKeyless } = { ...content, ...change };
    expect(readVersion(manifestOf(change))).toEqual({ key, version, bytes, isKeyless });
  });

  it("takes no version for others' artifacts, only their size", () => {
    for (const foreign of [
      { ...manifestOf(), artifactType: "x/y" },
      { ...manifestOf(), annotations: new Map() },
    ]) {
      expect(readVersion(foreign)).toEqual({
        bytes: foreign.annotations.size > 0 ? 4096 : 9,
        isKeyless: false,
      });
    }
  });

  it.each([
    ["a time in words", saying("time", "2026-01-01")],
    ["a time of many digits", saying("time", "99999999999999")],
    ["no whole time", saying("time", "1700000000000.5")],
    ["an id with a dot", saying("id", "a.b")],
    ["an endless id", saying("id", "a".repeat(99))],
    ["no id", saying("id", "")],
    ["no key", saying("key", "")],
    ["an endless key", saying("key", "k".repeat(2 ** 25))],
  ] as ReadonlyArray<readonly [string, Manifest]>)("takes %s for no version", (_, manifest) => {
    expect(readVersion(manifest).version).toBeUndefined();
  });

  it("believes that layers hide of each other what they replace", () => {
    expect(readVersion(saying("bytes", "6")).bytes).toBe(6);
    expect(readVersion(saying("bytes", "4")).bytes).toBe("delta".length);
  });

  it.each(["-1", "1Gi", "0", "", "1e400"])("does not believe in a size of %j", (size) => {
    expect(readVersion(saying("bytes", size)).bytes).toBe("basedelta".length);
  });
});
