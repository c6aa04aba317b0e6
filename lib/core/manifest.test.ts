import { describe, expect, it } from "vitest";
import { digestOf } from "./digest.ts";
import { isFailure, type Reason } from "./failure.ts";
import { parseManifest } from "./manifest.ts";

const digest = digestOf("blob");
const blob = { mediaType: "application/octet-stream", digest, size: 4 };
const manifest = { schemaVersion: 2, config: { ...blob, mediaType: "c" }, layers: [blob] };

const bytesOf = (value: unknown) =>
  value instanceof Uint8Array
    ? value
    : new TextEncoder().encode(typeof value === "string" ? value : JSON.stringify(value));
const failing = (reason: Reason, text: string) =>
  expect.toSatisfy((error) => isFailure(error, reason) && error.message.includes(text));

describe("parseManifest()", () => {
  it("reads an OCI manifest with its annotations, type and urls", () => {
    const layer = { ...blob, annotations: { a: "1" }, urls: ["https://elsewhere.example/x"] };
    expect(
      parseManifest(bytesOf({ ...manifest, artifactType: "x/y", layers: [layer], annotations: { b: "2" } })),
    ).toEqual({
      kind: "manifest",
      mediaType: "application/vnd.oci.image.manifest.v1+json",
      artifactType: "x/y",
      config: { ...blob, mediaType: "c", annotations: new Map() },
      layers: [{ ...layer, annotations: new Map([["a", "1"]]) }],
      annotations: new Map([["b", "2"]]),
    });
  });

  it.each([
    [{ ...manifest, mediaType: "application/vnd.docker.distribution.manifest.v2+json" }, "manifest"],
    [{ schemaVersion: 2, mediaType: "application/vnd.oci.image.index.v1+json", manifests: [] }, "index"],
    [{ mediaType: "application/vnd.docker.distribution.manifest.list.v2+json", manifests: [blob] }, "index"],
    [{ ...manifest, layers: null }, "manifest"],
  ])("reads %j", (value, kind) => {
    expect(parseManifest(bytesOf(value)).kind).toBe(kind);
  });

  it("takes the registry's media type only where the bytes name none and it fits them", () => {
    const docker = "application/vnd.docker.distribution.manifest.v2+json";
    expect(parseManifest(bytesOf(manifest), { mediaType: docker }).mediaType).toBe(docker);
    expect(parseManifest(bytesOf(manifest), { mediaType: "text/plain" }).mediaType).toContain(
      "oci.image.manifest",
    );
  });

  it("reads platforms, and takes one that is half stated for none", () => {
    const entries = [
      { ...blob, platform: { os: "linux", architecture: "arm", variant: "v7", "os.version": "1" } },
      { ...blob, platform: { os: "linux" } },
    ];
    expect(parseManifest(bytesOf({ manifests: entries }))).toMatchObject({
      manifests: [{ platform: { os: "linux", architecture: "arm", variant: "v7", osVersion: "1" } }, {}],
    });
  });

  it.each([
    ["not JSON", "{", "corrupt", "not JSON"],
    ["not UTF-8", new Uint8Array([0x22, 0xff, 0x22]), "corrupt", "not JSON"],
    ["a list", [], "invalid", "not an object"],
    ["schema 1", { schemaVersion: 1, fsLayers: [] }, "unsupported", "schema 1"],
    ["the old artifact manifest", { blobs: [] }, "unsupported", "drafts"],
    ["an unknown media type", { ...manifest, mediaType: "x/y" }, "unsupported", '"x/y"'],
    [
      "an index that says it is a manifest",
      { manifests: [], mediaType: "application/vnd.oci.image.manifest.v1+json" },
      "invalid",
      "media type",
    ],
    ["both at once", { ...manifest, manifests: [] }, "invalid", "at once"],
    ["no config", { layers: [] }, "invalid", "config is missing"],
    ["layers that are no list", { ...manifest, layers: {} }, "invalid", "layers is not a list"],
    ["a negative size", { ...manifest, layers: [{ ...blob, size: -1 }] }, "invalid", "layers[0].size is -1"],
    ["a broken size", { ...manifest, layers: [{ ...blob, size: 1.5 }] }, "invalid", "layers[0].size is 1.5"],
    [
      "a huge size",
      JSON.stringify(manifest).replaceAll('"size":4', '"size":1e400'),
      "invalid",
      "size is null",
    ],
    [
      "a size beyond doubles",
      JSON.stringify(manifest).replaceAll('"size":4', '"size":9007199254740993'),
      "invalid",
      "size",
    ],
    ["a size in words", { ...manifest, config: { ...blob, size: "4" } }, "invalid", 'config.size is "4"'],
    [
      "a bad digest",
      { ...manifest, layers: [{ ...blob, digest: "sha256:1" }] },
      "invalid",
      "layers[0].digest",
    ],
    [
      "another digest",
      { ...manifest, layers: [{ ...blob, digest: `sha512:${"a".repeat(128)}` }] },
      "unsupported",
      "sha512",
    ],
    [
      "annotations of no text",
      { ...manifest, annotations: { a: 1 } },
      "invalid",
      'annotations has a value at "a"',
    ],
    [
      "too many layers",
      { ...manifest, layers: Array.from({ length: 65_537 }, () => blob) },
      "unsupported",
      "65537 entries",
    ],
  ] as const)("refuses %s, naming the manifest", (_, value, reason, text) => {
    expect(() => parseManifest(bytesOf(value), { digest })).toThrow(failing(reason, text));
    expect(() => parseManifest(bytesOf(value), { digest })).toThrow(digest);
  });

  it("takes keys such as __proto__ for keys", () => {
    const text = JSON.stringify(manifest).replace(
      '"size":4}]',
      '"size":4,"annotations":{"__proto__":"x","constructor":"y"},"__proto__":{"urls":["u"]}}]',
    );
    const parsed = parseManifest(bytesOf(text));
    expect(parsed.kind === "manifest" && [...(parsed.layers[0]?.annotations ?? [])]).toEqual([
      ["__proto__", "x"],
      ["constructor", "y"],
    ]);
    expect(parsed).not.toMatchObject({ layers: [{ urls: ["u"] }] });
    expect(Object.prototype).not.toHaveProperty("urls");
  });

  it("survives a document nested a million deep", () => {
    const text = `{"layers":[],"config":${"[".repeat(1e6)}${"]".repeat(1e6)}}`;
    expect(() => parseManifest(bytesOf(text))).toThrow(failing("invalid", "config is not an object"));
  });
});
