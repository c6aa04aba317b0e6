import { afterEach, describe, expect, it } from "vitest";
import type { Misbehaviour } from "../../testing/faults.ts";
import { type DoubleOptions, openRegistryDouble } from "../../testing/registry-double.ts";
import { StorageDouble } from "../../testing/storage-double.ts";
import { digestOf } from "../core/digest.ts";
import { isFailure } from "../core/failure.ts";
import { accessTo, Rig, type RigOptions } from "./testing/rig.ts";

const { signal } = new AbortController();

let open = new AsyncDisposableStack();
afterEach(async () => {
  await open.disposeAsync();
  open = new AsyncDisposableStack();
});

async function setting(options?: DoubleOptions, rigOptions?: RigOptions) {
  const registry = open.use(await openRegistryDouble(options));
  const rig = open.use(new Rig(rigOptions));
  return { registry, rig, access: accessTo(registry.host) };
}

describe("holds()", () => {
  const blob = { digest: digestOf("content"), size: 7 };

  it("is whole by its size and its last byte, and none where the registry has none", async () => {
    const { registry, rig, access } = await setting();
    expect(await rig.reader.holds(access, blob, signal)).toBe("none");
    registry.blob("content");
    expect(await rig.reader.holds(access, blob, signal)).toBe("whole");
    expect(registry.asked.at(-1)?.headers).toMatchObject({ range: "bytes=6-6" });
    expect(registry.bytesSent(blob.digest)).toBeLessThanOrEqual(8);
  });

  it.each<[string, string, Misbehaviour | undefined]>([
    ["it has another size", "conten", undefined],
    ["it is empty", "", undefined],
    ["HEAD tells its size, and nothing comes", "content", { kind: "length", by: -1, told: false }],
    ["HEAD tells its size, and another range comes", "content", { kind: "other-range", by: -1 }],
    ["HEAD tells its size, and its storage knows no such range", "content", { kind: "status", status: 416 }],
  ])("is broken where %s", async (_, text, fault) => {
    const { registry, rig, access } = await setting();
    registry.blob(text, blob.digest);
    if (fault !== undefined) registry.spoilWhere(({ method }) => method === "GET", fault);
    expect(await rig.reader.holds(access, blob, signal)).toBe("broken");
  });

  it("is none where HEAD knows it and GET does not", async () => {
    const { registry, rig, access } = await setting();
    registry.blob("content");
    registry.spoilWhere(({ method }) => method === "GET", { kind: "status", status: 404 });
    expect(await rig.reader.holds(access, blob, signal)).toBe("none");
  });

  it("is whole where ranges are ignored, HEAD is not allowed, or the bytes lie elsewhere", async () => {
    const storage = open.use(await new StorageDouble().listen());
    storage.object(blob.digest, Buffer.from("content"));
    const far = await setting({ storage: (digest) => storage.sign(digest) });
    far.registry.blob("content");
    expect(await far.rig.reader.holds(far.access, blob, signal)).toBe("whole");
    const { registry, rig, access } = await setting();
    registry.blob("content");
    registry.ignoreRanges = true;
    registry.spoilWhere(({ method }) => method === "HEAD", { kind: "status", status: 405 });
    expect(await rig.reader.holds(access, blob, signal)).toBe("whole");
  });

  it("asks for nothing of a blob of no bytes but its size", async () => {
    const { registry, rig, access } = await setting();
    registry.blob("");
    expect(await rig.reader.holds(access, { digest: digestOf(""), size: 0 }, signal)).toBe("whole");
    expect(registry.asked).toHaveLength(1);
  });

  it("waits trouble out, and is denied where the registry refuses", async () => {
    const { registry, rig, access } = await setting();
    registry.blob("content");
    registry.spoil("blobs", { kind: "status", status: 503 }, 2);
    expect(await rig.reader.holds(access, blob, signal)).toBe("whole");
    expect(rig.waits).toHaveLength(2);
    registry.spoil("blobs", { kind: "status", status: 403 });
    await expect(rig.reader.holds(access, blob, signal)).rejects.toSatisfy((e) => isFailure(e, "denied"));
    registry.spoilWhere(({ method }) => method === "GET", { kind: "status", status: 401 });
    await expect(rig.reader.holds(access, blob, signal)).rejects.toSatisfy((e) => isFailure(e, "denied"));
  });
});

describe("standing()", () => {
  const text = JSON.stringify({ schemaVersion: 2 });

  it("brings what a tag or a digest names, and undefined for nothing", async () => {
    const { registry, rig, access } = await setting();
    expect(await rig.reader.standing(access, "v1", signal)).toBeUndefined();
    const digest = registry.manifest(text, { tags: ["v1"] });
    for (const name of ["v1", digest])
      expect(await rig.reader.standing(access, name, signal)).toMatchObject({
        digest,
        bytes: Buffer.from(text),
        mediaType: "application/vnd.oci.image.manifest.v1+json",
      });
  });

  it("is corrupt where other bytes stand under a digest", async () => {
    const { registry, rig, access } = await setting();
    registry.manifest("", { as: digestOf(text) });
    await expect(rig.reader.standing(access, digestOf(text), signal)).rejects.toSatisfy((e) =>
      isFailure(e, "corrupt"),
    );
  });

  it("asks the registry itself, and no mirror of it", async () => {
    const mirror = open.use(await openRegistryDouble());
    mirror.manifest(text, { tags: ["v1"] });
    mirror.blob("content");
    const { rig, access } = await setting(undefined, {
      registries: [{ match: "*", mirrors: [{ url: mirror.origin }] }],
    });
    expect(await rig.reader.standing(access, "v1", signal)).toBeUndefined();
    expect(await rig.reader.holds(access, { digest: digestOf("content"), size: 7 }, signal)).toBe("none");
    expect(mirror.asked).toEqual([]);
  });
});
