import { describe, expect, it } from "vitest";
import {
  type CacheVersion,
  contestKey,
  formatCacheArtifact,
  planPruning,
  readCacheVersion,
  toCacheLayer,
} from "./cache-artifact.ts";
import { keyTag, versionTag } from "./cache-key.ts";
import { digestOf } from "./digest.ts";
import { type Manifest, parseManifest } from "./manifest.ts";
import { planTree } from "./plan-tree.ts";

const at = (time: number, id = "k3x9") => ({ timeMs: 1.7e12 + time, id });
const version: CacheVersion = { key: "main/1.2 ä", version: at(5), bytes: 4096, isKeyless: false };
const packed = (name: string) => ({
  digest: digestOf(name),
  size: name.length,
  diffId: digestOf(`${name}-`),
});
const layers = [toCacheLayer(packed("base"), "zstd", false), toCacheLayer(packed("delta"), "zstd", false)];
const platform = { os: "linux", architecture: "aarch64" };
const format = (change: Partial<CacheVersion> = {}, parts = layers) =>
  formatCacheArtifact({ ...version, ...change }, parts, platform);
const manifestOf = (change: Partial<CacheVersion> = {}, parts = layers): Manifest => {
  const manifest = parseManifest(format(change, parts).manifest.bytes);
  if (manifest.kind !== "manifest") throw new Error("an index");
  return manifest;
};
const changed = (manifest: Manifest, name: string, value: string): Manifest => ({
  ...manifest,
  annotations: new Map([...manifest.annotations, [`dev.larder.cache.${name}`, value]]),
});

describe("formatCacheArtifact()", () => {
  it("makes an image that planTree() takes for its layers, in order", () => {
    const { config } = format();
    const manifest = manifestOf();
    expect(manifest.artifactType).toBe("application/vnd.larder.cache.v1");
    expect(manifest.config.digest).toBe(digestOf(config));
    expect(planTree(manifest, config).layers).toMatchObject([
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
    const portable = [toCacheLayer(packed("all"), "gzip", true)];
    const manifest = manifestOf({}, portable);
    expect(manifest.layers[0]?.annotations).toEqual(
      new Map([
        ["io.deis.oras.content.digest", digestOf("all-")],
        ["io.deis.oras.content.unpack", "true"],
        ["org.opencontainers.image.title", "."],
      ]),
    );
    const { config } = format({}, portable);
    expect(planTree(manifest, config).layers).toMatchObject([{ kind: "image", compression: "gzip" }]);
  });

  it("gives the same bytes for the same version", () => {
    expect(format()).toEqual(format());
    expect(format({ bytes: 1 }).config).toEqual(format().config);
    expect(format({ bytes: 1 }).manifest.bytes).not.toEqual(format().manifest.bytes);
  });
});

describe("toCacheLayer()", () => {
  it.each([
    ["none", "application/vnd.oci.image.layer.v1.tar"],
    ["gzip", "application/vnd.oci.image.layer.v1.tar+gzip"],
    ["zstd", "application/vnd.oci.image.layer.v1.tar+zstd"],
  ] as const)("names the compression %s", (compression, mediaType) => {
    expect(toCacheLayer(packed("a"), compression, false)).toMatchObject({
      mediaType,
      annotations: new Map(),
    });
  });
});

describe("readCacheVersion()", () => {
  it.each([
    ["plain", {}],
    ["keyless", { isKeyless: true }],
    ["over a base", { base: digestOf("m") }],
    ["of a long key", { key: "k".repeat(200) }],
  ])("reads what formatCacheArtifact() wrote: %s", (_, change) => {
    expect(readCacheVersion(manifestOf(change))).toEqual({ ...version, ...change });
  });

  it.each([
    ["another's artifact", { ...manifestOf(), artifactType: "x/y" }],
    ["no annotations", { ...manifestOf(), annotations: new Map() }],
    ["a time in words", changed(manifestOf(), "time", "2026-01-01")],
    ["a time of many digits", changed(manifestOf(), "time", "99999999999999")],
    ["an id with a dot", changed(manifestOf(), "id", "a.b")],
    ["an endless id", changed(manifestOf(), "id", "a".repeat(99))],
    ["no key", changed(manifestOf(), "key", "")],
    ["a negative size", changed(manifestOf(), "bytes", "-1")],
    ["a size in words", changed(manifestOf(), "bytes", "1Gi")],
  ] as ReadonlyArray<readonly [string, Manifest]>)("takes %s for no version", (_, manifest) => {
    expect(readCacheVersion(manifest)).toBeUndefined();
  });

  it("passes over a base that is no digest", () => {
    expect(readCacheVersion(changed(manifestOf(), "base", "sha256:x"))).toEqual(version);
  });
});

describe("contestKey()", () => {
  const contest = contestKey(version.key, at(5, "m"));

  it("names the tags", () => {
    expect(contest.tag).toBe(keyTag(version.key));
    expect(contest.versionTag).toBe(versionTag(version.key, at(5, "m")));
  });

  it("finds the tags of newer versions of this key, the newest first", () => {
    const tags = [at(4), at(6), at(5, "m"), at(5, "z"), at(9)].map((one) => versionTag(version.key, one));
    expect(contest.newerTags([...tags, versionTag("other", at(99)), "latest"])).toEqual(
      [at(9), at(6), at(5, "z")].map((one) => versionTag(version.key, one)),
    );
  });

  it.each([
    [true, "a later one", { version: at(6) }],
    [false, "an earlier one", { version: at(4) }],
    [false, "itself", { version: at(5, "m") }],
    [true, "one of the same moment and a larger id", { version: at(5, "z") }],
    [false, "one of another key", { version: at(6), key: "other" }],
    [false, "one that may not have a key", { version: at(6), isKeyless: true }],
  ] as ReadonlyArray<readonly [boolean, string, Partial<CacheVersion>]>)(
    "says %s to %s",
    (isNewer, _, change) => {
      expect(contest.isNewer(manifestOf(change))).toBe(isNewer);
    },
  );
});

describe("planPruning()", () => {
  const tag = (time: number, key = "k") => versionTag(key, at(time));
  const tags = ["k", "other", tag(1), tag(3), tag(2), tag(9, "other"), tag(0, "k2")];

  it("dooms the oldest versions of this key, and nothing else", () => {
    expect(planPruning(tags, "k", 2)).toEqual({ doomed: [tag(1)], kept: ["k", tag(3), tag(2)] });
    expect(planPruning(tags, "k", 5).doomed).toEqual([]);
  });

  it("keeps no tag that is not there", () => {
    expect(planPruning([tag(1), tag(2)], "k", 1)).toEqual({ doomed: [tag(1)], kept: [tag(2)] });
    expect(planPruning([], "k", 1)).toEqual({ doomed: [], kept: [] });
  });
});
