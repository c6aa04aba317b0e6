// The reader against the real registry, holding what the plain ORAS CLI pushed.
import { createHash, randomBytes } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { orasCli } from "../../testing/oras-cli.ts";
import { openRealRegistry, type RealRegistry, registryUser } from "../../testing/real-registry.ts";
import { digestOf, parseDigest } from "../core/digest.ts";
import { parseReference } from "../core/reference.ts";
import { MemorySink } from "./testing/memory-sink.ts";
import { accessTo, Rig, type RigOptions } from "./testing/rig.ts";

const never = new AbortController().signal;
const weights = randomBytes(20 * 1024 * 1024 + 7);
const MIB = 1024 * 1024;

let folder: string;
let registry: RealRegistry;
let locked: RealRegistry;
let open = new AsyncDisposableStack();

beforeAll(async () => {
  folder = await mkdtemp(path.join(os.tmpdir(), "larder-reader-"));
  await writeFile(path.join(folder, "weights.bin"), weights);
  await writeFile(path.join(folder, "empty"), "");
  [registry, locked] = await Promise.all([openRealRegistry(), openRealRegistry({ password: true })]);
  const files = ["weights.bin", "empty"];
  await orasCli(folder, ["push", "--plain-http", `${registry.host}/a/b:v1`, ...files]);
  const login = ["--username", registryUser.username, "--password-stdin"];
  const push = ["push", "--plain-http", ...login, `${locked.host}/a/b:v1`, ...files];
  await orasCli(folder, push, { input: registryUser.password });
});
afterAll(async () => {
  await registry[Symbol.asyncDispose]();
  await locked[Symbol.asyncDispose]();
  await rm(folder, { recursive: true });
});
afterEach(async () => {
  await open.disposeAsync();
  open = new AsyncDisposableStack();
});

const rig = (options?: RigOptions) => open.use(new Rig(options));

async function layersAt(host: string, more = {}) {
  const { reader } = rig();
  const access = accessTo(host, more);
  const { digest, size, mediaType } = await reader.resolve(access, parseReference(`${host}/a/b:v1`), never);
  const fetched = await reader.fetchManifest(access, digest, never);
  expect(fetched.bytes.length).toBe(size);
  expect(fetched.mediaType).toBe(mediaType);
  const { layers } = JSON.parse(Buffer.from(fetched.bytes).toString()) as {
    layers: { digest: string; size: number }[];
  };
  const blobs = layers.map((layer) => ({ digest: parseDigest(layer.digest), size: layer.size }));
  return { access, digest, blobs };
}

describe("the reader and a real registry", () => {
  it("resolves, proves and brings what ORAS pushed, in ranges", async () => {
    const { access, digest, blobs } = await layersAt(registry.host);
    const { reader, bytesBy } = rig({ limits: { rangeBytes: 2 * MIB, connections: 4 } });
    await reader.prove(access, digest, never);
    for (const blob of blobs) {
      const sink = new MemorySink(blob.size);
      await reader.fetchBlob(access, blob, sink, never);
      expect(`sha256:${createHash("sha256").update(sink.bytes).digest("hex")}`).toBe(blob.digest);
    }
    expect(bytesBy.get("upstream")).toBe(weights.length);
  });

  it("goes on where it was stopped", async () => {
    const { access, blobs } = await layersAt(registry.host);
    const blob = blobs.find(({ size }) => size === weights.length);
    if (blob === undefined) throw new Error("no such layer");
    const { reader, bytesBy } = rig();
    const sink = new MemorySink(blob.size, [{ start: 15 * MIB + 3, end: blob.size }]);
    await reader.fetchBlob(access, blob, sink, never);
    expect(sink.bytes.subarray(15 * MIB + 3).equals(weights.subarray(15 * MIB + 3))).toBe(true);
    expect(bytesBy.get("upstream")).toBe(weights.length - 15 * MIB - 3);
  });

  it("shows the password, and names the secret when it is wrong", async () => {
    const credentials = { kind: "basic", ...registryUser } as const;
    const { access, digest, blobs } = await layersAt(locked.host, { credentials });
    const { reader } = rig();
    const [blob] = blobs;
    if (blob === undefined) throw new Error("no layer");
    const sink = new MemorySink(blob.size);
    await reader.fetchBlob(access, blob, sink, never);
    expect(digestOf(sink.bytes)).toBe(blob.digest);

    const wrong = {
      ...access,
      credentials: { ...credentials, password: "wr0ng" },
      origin: 'pull secret "acme-pull"',
    };
    await expect(reader.prove(wrong, digest, never)).rejects.toMatchObject({
      reason: "denied",
      message: expect.stringContaining('the registry answered 401 for it with the pull secret "acme-pull"'),
    });
  });

  it.each([
    ["tag", ":gone"],
    ["digest", `@${digestOf("gone")}`],
  ])("is not-found for a %s that is not there, naming it", async (_, tail) => {
    const { reader } = rig();
    const reference = `${registry.host}/a/b${tail}`;
    await expect(
      reader.resolve(accessTo(registry.host), parseReference(reference), never),
    ).rejects.toMatchObject({
      reason: "not-found",
      message: expect.stringContaining(`Cannot resolve ${reference}: the registry answered 404`),
    });
  });

  it("takes another registry as its mirror, with ?ns= and all", async () => {
    const { blobs, digest } = await layersAt(registry.host);
    const { reader } = rig({ registries: [{ match: "*", mirrors: [{ url: `http://${registry.host}` }] }] });
    const access = accessTo("127.0.0.1:9");
    expect((await reader.fetchManifest(access, digest, never)).source).toEqual({
      kind: "mirror",
      host: registry.host,
    });
    const blob = blobs.find(({ size }) => size > 0);
    if (blob === undefined) throw new Error("no layer");
    const sink = new MemorySink(blob.size);
    await reader.fetchBlob(access, blob, sink, never);
    expect(digestOf(sink.bytes)).toBe(blob.digest);
  });
});
