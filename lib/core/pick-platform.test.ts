import { describe, expect, it } from "vitest";
import { digestOf } from "./digest.ts";
import type { Descriptor, Index } from "./manifest.ts";
import { pickPlatform } from "./pick-platform.ts";
import { parsePlatform } from "./platform.ts";

/** An index of these entries: a platform as text, "" for none, "!" for an attestation. */
function indexOf(...entries: readonly string[]): Index {
  const manifests = entries.map((entry, index): Descriptor => {
    const [os = "", architecture = "", variant] = entry === "!" ? ["unknown", "unknown"] : entry.split("/");
    return {
      mediaType: "application/vnd.oci.image.manifest.v1+json",
      digest: digestOf(`${index}`),
      size: 1,
      annotations: new Map(entry === "!" ? [["vnd.docker.reference.type", "attestation-manifest"]] : []),
      ...(entry === ""
        ? {}
        : { platform: { os, architecture, ...(variant === undefined ? {} : { variant }) } }),
    };
  });
  return { kind: "index", mediaType: "i", manifests, annotations: new Map() };
}

describe("pickPlatform()", () => {
  it.each([
    ["linux/amd64", ["linux/arm64", "linux/amd64"], 1],
    ["linux/amd64", ["linux/x86_64"], 0],
    ["linux/amd64/v3", ["linux/amd64", "linux/amd64/v2"], 1],
    ["linux/amd64", ["linux/amd64/v2", "linux/386"], 1],
    ["linux/arm64", ["linux/arm/v7", "linux/arm64/v8"], 1],
    ["linux/arm64", ["linux/arm/v6", "linux/arm/v7"], 1],
    ["linux/arm64/v9", ["linux/arm64", "linux/arm64/v8.5"], 1],
    ["linux/arm64/v8.2", ["linux/arm64", "linux/arm64/v8.3"], 0],
    ["linux/arm/v7", ["linux/arm/v5", "linux/arm"], 1],
    ["linux/arm/v6", ["linux/arm/v7", "linux/arm/v5"], 1],
    ["linux/s390x", ["linux/amd64", "linux/s390x"], 1],
    ["linux/amd64", ["!", "linux/amd64", "!", "linux/amd64"], 1],
  ] as const)("for %s takes of %j entry %i", (wanted, entries, expected) => {
    const index = indexOf(...entries);
    expect(pickPlatform(index, parsePlatform(wanted))).toBe(index.manifests[expected]);
  });

  it.each([[[""]], [["unknown/unknown"]], [["", "!"]]])(
    "takes the only entry of %j for any platform",
    (entries) => {
      const index = indexOf(...entries);
      expect(pickPlatform(index, parsePlatform("linux/amd64"))).toBe(index.manifests[0]);
    },
  );

  it("lists the platforms there are when none fits", () => {
    const index = indexOf("linux/s390x", "windows/amd64", "", "!", "linux/s390x");
    expect(() => pickPlatform(index, parsePlatform("linux/arm64"))).toThrow(
      'Cannot pick an entry for the platform "linux/arm64": the index has linux/s390x, windows/amd64, one without a platform; name one of them',
    );
  });

  it.each([[["linux/arm/v7"]], [[]], [["!"]], [["", ""]], [["linux/amd64/v2"]]])(
    "refuses %j for linux/amd64",
    (entries) => {
      expect(() => pickPlatform(indexOf(...entries), parsePlatform("linux/amd64"))).toThrow("Cannot pick");
    },
  );
});
