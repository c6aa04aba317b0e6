import { setTimeout as delay } from "node:timers/promises";
import { afterEach, describe, expect, it, vi } from "vitest";
import type { Misbehaviour } from "../../testing/faults.ts";
import { basic } from "../../testing/guard.ts";
import {
  type DoubleOptions,
  openRegistryDouble,
  type RegistryDouble,
} from "../../testing/registry-double.ts";
import { makeSelfSigned } from "../../testing/self-signed.ts";
import type { Access } from "../core/access.ts";
import { digestOf } from "../core/digest.ts";
import { isFailure, type Reason } from "../core/failure.ts";
import { parseReference } from "../core/reference.ts";
import { MemorySink } from "./testing/memory-sink.ts";
import { accessTo, Rig, type RigOptions } from "./testing/rig.ts";

const never = new AbortController().signal;
const manifest = JSON.stringify({ schemaVersion: 2 });
const digest = digestOf(manifest);
const user = { kind: "basic", username: "ann", password: "s3cret-word" } as const;

let open = new AsyncDisposableStack();
afterEach(async () => {
  await open.disposeAsync();
  open = new AsyncDisposableStack();
});

async function double(options?: DoubleOptions): Promise<RegistryDouble> {
  const registry = open.use(await openRegistryDouble(options));
  registry.manifest(manifest, { tags: ["v1"] });
  return registry;
}

const rig = (options?: RigOptions) => open.use(new Rig(options));

async function failureOf(promise: Promise<unknown>): Promise<{ reason: Reason; message: string }> {
  const error: unknown = await promise.then(
    () => "resolved",
    (error: unknown) => error,
  );
  if (!isFailure(error)) throw error instanceof Error ? error : new Error(String(error));
  return error;
}

const refer = (access: Access, tail = ":v1") => parseReference(`${access.host}/a/b${tail}`);

describe("resolve()", () => {
  it("turns a tag into its digest, media type and size by one HEAD", async () => {
    const registry = await double();
    const access = accessTo(registry.host);
    expect(await rig().reader.resolve(access, refer(access), never)).toEqual({
      digest,
      mediaType: "application/vnd.oci.image.manifest.v1+json",
      size: manifest.length,
      source: { kind: "upstream", host: registry.host },
    });
    expect(registry.asked.map(({ method, path }) => [method, path])).toEqual([
      ["HEAD", "/v2/a/b/manifests/v1"],
    ]);
  });

  it.each(["none", "sha256:nonsense"])(
    "counts the digest itself where the registry's header says %s",
    async (header) => {
      const registry = await double({ digestHeader: header as "none" });
      const access = accessTo(registry.host);
      expect(await rig().reader.resolve(access, refer(access), never)).toMatchObject({
        digest,
        size: manifest.length,
      });
    },
  );

  it("takes GET where HEAD is not allowed", async () => {
    const registry = await double();
    registry.spoil("manifests", { kind: "status", status: 405 });
    const access = accessTo(registry.host);
    expect(await rig().reader.resolve(access, refer(access), never)).toMatchObject({ digest });
  });

  it("is corrupt when a digest is answered with another", async () => {
    const registry = await double({ digestHeader: digestOf("other") });
    const access = accessTo(registry.host);
    const failure = await failureOf(rig().reader.resolve(access, refer(access, `@${digest}`), never));
    expect(failure).toMatchObject({ reason: "corrupt" });
  });

  it.each<[number, Reason]>([
    [400, "invalid"],
    [401, "denied"],
    [403, "denied"],
    [404, "not-found"],
    [410, "not-found"],
    [413, "unsupported"],
    [418, "unsupported"],
  ])("ends at once on %i as %s, naming the reference and the status", async (status, reason) => {
    const registry = await double();
    registry.spoil("manifests", { kind: "status", status }, 9);
    const access = accessTo(registry.host);
    const failure = await failureOf(rig().reader.resolve(access, refer(access), never));
    expect(failure.reason).toBe(reason);
    expect(failure.message).toContain(
      `Cannot resolve ${registry.host}/a/b:v1: the registry answered ${status} for it`,
    );
    expect(registry.count("manifests")).toBe(1);
  });

  it.each<[string, Misbehaviour]>([
    ["429", { kind: "status", status: 429 }],
    ["500", { kind: "status", status: 500 }],
    ["503", { kind: "status", status: 503 }],
    ["a cut connection", { kind: "cut", after: 0 }],
    ["what is not HTTP", { kind: "not-http" }],
    ["a status that is none", { kind: "not-http", bytes: "HTTP/1.1 000 \r\n\r\n" }],
    ["silence", { kind: "hang" }],
  ])("asks again after %s, and takes the good answer", async (_, fault) => {
    const registry = await double();
    registry.spoil("manifests", fault, 2);
    const r = rig({ timeouts: { headersTimeoutMs: 1_500 } });
    const access = accessTo(registry.host);
    expect(await r.reader.fetchManifest(access, digest, never)).toMatchObject({
      bytes: Buffer.from(manifest),
    });
    expect(r.waits).toEqual([150, 300]);
    expect(r.retries[0]).toMatchObject({ host: registry.host, reason: "unavailable", attempt: 1 });
  });

  it("is known to ail while it is asked again, for a manifest and for a blob", async () => {
    const registry = await double();
    const told: unknown[] = [];
    const access = accessTo(registry.host);
    const { reader } = rig({ onWait: () => told.push(reader.troubleOf(access)) });
    registry.spoil("manifests", { kind: "cut", after: 0 }, 1);
    await reader.fetchManifest(access, digest, never);
    const blob = registry.blob("content");
    registry.spoil(blob.digest, { kind: "status", status: 503 }, 1);
    const sink = new MemorySink(blob.size);
    await reader.fetchBlob(access, blob, sink, never);
    const who = "the registry";
    expect(told).toEqual([
      expect.stringContaining(`${who} broke the connection off`),
      expect.stringContaining(`${who} answered 503`),
    ]);
    expect(reader.troubleOf(access)).toBeUndefined();
  });

  it("waits as long as Retry-After says, in seconds or until a date", async () => {
    const registry = await double();
    const r = rig();
    registry.spoil("manifests", { kind: "status", status: 429, headers: { "retry-after": "7" } });
    registry.spoil("manifests", {
      kind: "status",
      status: 503,
      headers: { "retry-after": new Date(r.now + 7_350 + 20_000).toUTCString() },
    });
    const access = accessTo(registry.host);
    await r.reader.resolve(access, refer(access), never);
    expect(r.waits[0]).toBeGreaterThanOrEqual(7_000);
    expect(r.waits[1]).toBeGreaterThanOrEqual(18_000);
  });

  it("gives up after two minutes with the last status, and at once when Retry-After is longer", async () => {
    const registry = await double();
    registry.spoil("manifests", { kind: "status", status: 503 }, 1_000);
    const r = rig();
    const access = accessTo(registry.host);
    const failure = await failureOf(r.reader.resolve(access, refer(access), never));
    expect(failure).toMatchObject({
      reason: "unavailable",
      message: expect.stringContaining("answered 503"),
    });
    const total = r.waits.reduce((sum, ms) => sum + ms, 0);
    expect(total).toBeGreaterThan(90_000);
    expect(total).toBeLessThanOrEqual(120_000);

    const other = await double();
    other.spoil("manifests", { kind: "status", status: 429, headers: { "retry-after": "3600" } });
    const there = accessTo(other.host);
    expect(await failureOf(rig().reader.resolve(there, refer(there), never))).toMatchObject({
      reason: "unavailable",
    });
    expect(other.count("manifests")).toBe(1);
  });

  it("says of a port that refuses that it refused", async () => {
    const registry = await openRegistryDouble();
    const access = accessTo(registry.host);
    await registry[Symbol.asyncDispose]();
    const failure = await failureOf(rig().reader.resolve(access, refer(access), never));
    expect(failure).toMatchObject({
      reason: "unavailable",
      message: expect.stringContaining("refused the connection"),
    });
  });

  it("rejects with the signal's reason while the registry hangs, and leaves no connection", async () => {
    const registry = await double();
    registry.spoil("manifests", { kind: "hang" }, 9);
    const access = accessTo(registry.host);
    const stop = new AbortController();
    const resolving = rig().reader.resolve(access, refer(access), stop.signal);
    while (registry.count("manifests") === 0) await delay(1);
    stop.abort(new Error("the caller went away"));
    await expect(resolving).rejects.toThrow("the caller went away");
  });
});

describe("fetchTag()", () => {
  it("tells a tag's digest and sends its manifest by one GET", async () => {
    const registry = await double();
    const access = accessTo(registry.host);
    const { bytes, ...said } = await rig().reader.fetchTag(access, refer(access), never);
    expect(Buffer.from(bytes).toString()).toBe(manifest);
    const source = { kind: "upstream", host: registry.host };
    expect(said).toEqual({ digest, mediaType: "application/vnd.oci.image.manifest.v1+json", source });
    expect(registry.asked.map(({ method, path }) => `${method} ${path}`)).toEqual([
      "GET /v2/a/b/manifests/v1",
    ]);
  });

  it("counts the digest itself, whatever the registry's header says", async () => {
    const registry = await double({ digestHeader: digestOf("other") });
    const access = accessTo(registry.host);
    expect(await rig().reader.fetchTag(access, refer(access), never)).toMatchObject({ digest });
  });

  it("is not-found for a tag that is not there, and denied where nobody is let in", async () => {
    const registry = await double();
    const access = accessTo(registry.host);
    const absent = await failureOf(rig().reader.fetchTag(access, refer(access, ":v2"), never));
    expect(absent.reason).toBe("not-found");
    registry.spoil("manifests", { kind: "status", status: 403 });
    const denied = await failureOf(rig().reader.fetchTag(access, refer(access), never));
    expect(denied.reason).toBe("denied");
    expect(denied.message).toContain(`Cannot read ${registry.host}/a/b:v1`);
  });
});

describe("fetchManifest()", () => {
  it("brings the bytes that have the digest", async () => {
    const registry = await double();
    const fetched = await rig().reader.fetchManifest(accessTo(registry.host), digest, never);
    expect(Buffer.from(fetched.bytes).toString()).toBe(manifest);
    expect(fetched.mediaType).toBe("application/vnd.oci.image.manifest.v1+json");
  });

  it("is corrupt when the bytes have another digest", async () => {
    const registry = await double();
    const claimed = registry.manifest("{}", { as: digestOf("something else") });
    const r = rig();
    const failure = await failureOf(r.reader.fetchManifest(accessTo(registry.host), claimed, never));
    expect(failure).toMatchObject({ reason: "corrupt", message: expect.stringContaining(digestOf("{}")) });
    expect(r.waits.length).toBe(3);
  });

  it.each([true, false])("refuses 40 MiB without reading them (length told: %s)", async (told) => {
    const registry = await double();
    const big = Buffer.alloc(40 * 1024 ** 2, " ");
    const claimed = registry.manifest(big);
    if (!told) registry.spoil("manifests", { kind: "length", by: 0, told: false });
    const failure = await failureOf(rig().reader.fetchManifest(accessTo(registry.host), claimed, never));
    expect(failure).toMatchObject({
      reason: "invalid",
      message: expect.stringContaining("32 MiB is the most"),
    });
  });

  it("takes one of 32 MiB", async () => {
    const registry = await double();
    const big = Buffer.alloc(32 * 1024 ** 2, " ");
    const fetched = await rig().reader.fetchManifest(accessTo(registry.host), registry.manifest(big), never);
    expect(fetched.bytes.length).toBe(big.length);
  });
});

describe("fetchConfig()", () => {
  it("brings the bytes that have the digest", async () => {
    const registry = await double();
    const config = registry.blob("a config");
    const bytes = await rig().reader.fetchConfig(accessTo(registry.host), config.digest, never);
    expect(Buffer.from(bytes).toString()).toBe("a config");
  });

  it("is corrupt when they have another digest", async () => {
    const registry = await double();
    const { digest: claimed } = registry.blob("other", digestOf("a config"));
    const failure = await failureOf(rig().reader.fetchConfig(accessTo(registry.host), claimed, never));
    expect(failure).toMatchObject({ reason: "corrupt", message: expect.stringContaining(digestOf("other")) });
  });

  it("refuses 40 MiB", async () => {
    const registry = await double();
    const { digest: large } = registry.blob(Buffer.alloc(40 * 1024 ** 2, " "));
    const failure = await failureOf(rig().reader.fetchConfig(accessTo(registry.host), large, never));
    expect(failure).toMatchObject({
      reason: "invalid",
      message: expect.stringContaining("32 MiB is the most"),
    });
  });

  it("is not-found where it is not", async () => {
    const registry = await double();
    const failure = await failureOf(rig().reader.fetchConfig(accessTo(registry.host), digestOf("no"), never));
    expect(failure.reason).toBe("not-found");
  });
});

describe("prove()", () => {
  it("resolves on the registry's own 200, and names the secret on its 401", async () => {
    const registry = await double({ auth: { kind: "basic", username: "ann", password: "s3cret-word" } });
    const r = rig();
    const good = accessTo(registry.host, { credentials: user });
    await r.reader.prove(good, digest, never);

    const wrong = accessTo(registry.host, {
      credentials: { ...user, password: "wr0ng-word" },
      origin: 'pull secret "acme-pull"',
    });
    const failure = await failureOf(r.reader.prove(wrong, digest, never));
    expect(failure.reason).toBe("denied");
    expect(failure.message).toContain('the registry answered 401 for it with the pull secret "acme-pull"');
    expect(failure.message).not.toContain("wr0ng-word");

    const nobody = await failureOf(r.reader.prove(accessTo(registry.host), digest, never));
    expect(nobody.message).toContain("answered 401 for it without credentials");
  });

  it("never asks a mirror", async () => {
    const mirror = await double();
    const registry = await openRegistryDouble();
    open.use(registry);
    const r = rig({ registries: [{ match: "*", mirrors: [{ url: mirror.origin }] }] });
    expect(await failureOf(r.reader.prove(accessTo(registry.host), digest, never))).toMatchObject({
      reason: "not-found",
    });
    expect(mirror.asked).toEqual([]);
  });
});

describe("credentials", () => {
  it("are sent only after a challenge, then at once", async () => {
    const registry = await double({ auth: { kind: "basic", username: "ann", password: "s3cret-word" } });
    const r = rig();
    const access = accessTo(registry.host, { credentials: user });
    await r.reader.prove(access, digest, never);
    await r.reader.prove(access, digest, never);
    const sent = basic("ann", "s3cret-word");
    expect(registry.asked.map(({ headers }) => headers["authorization"])).toEqual([undefined, sent, sent]);
  });

  it("become a bearer token by GET, which is used again and renewed before it expires", async () => {
    const registry = await double({
      auth: { kind: "bearer", username: "ann", password: "s3cret-word", expiresIn: 300 },
    });
    const r = rig();
    const access = accessTo(registry.host, { credentials: user });
    await r.reader.prove(access, digest, never);
    await r.reader.prove(access, digest, never);
    expect(registry.guard.granted).toBe(1);
    r.now += 295_000;
    await r.reader.prove(access, digest, never);
    expect(registry.guard.granted).toBe(2);
    const token = registry.asked.find(({ path }) => path === "/token");
    expect(token?.query).toContain("scope=repository%3Aa%2Fb%3Apull");
    expect(registry.asked.filter(({ headers }) => headers["authorization"] === undefined).length).toBe(1);
  });

  it.each([
    ["a day ahead", 24 * 3_600_000],
    ["a day back", -24 * 3_600_000],
  ])(
    "become another token when the clock is set %s and the one that is kept is not good any more",
    async (_, jump) => {
      const registry = await double({
        auth: { kind: "bearer", username: "ann", password: "s3cret-word", expiresIn: 300 },
      });
      const r = rig();
      const access = accessTo(registry.host, { credentials: user });
      await r.reader.prove(access, digest, never);
      registry.guard.expire();
      r.now += jump;
      await r.reader.prove(access, digest, never);
      await r.reader.prove(access, digest, never);
      expect(registry.guard.granted).toBe(2);
    },
  );

  it("become a token of one's own where the one that another renewed meanwhile is used up, too", async () => {
    const registry = await double({ auth: { kind: "bearer", username: "ann", password: "s3cret-word" } });
    const r = rig();
    const access = accessTo(registry.host, { credentials: user });
    await r.reader.prove(access, digest, never);
    let proofs = 0;
    const held = registry.hold(({ path }) => path !== "/token" && ++proofs === 1);
    const slow = r.reader.prove(access, digest, never);
    await vi.waitFor(() => expect(proofs).toBe(1), { timeout: 20_000 });
    registry.guard.expire();
    await r.reader.prove(access, digest, never);
    registry.guard.expire();
    held.release();
    await slow;
    expect(registry.guard.granted).toBe(3);
  });

  it("become a bearer token by POST where they are a refresh token", async () => {
    const registry = await double({ auth: { kind: "bearer", username: "x", refreshToken: "r3fresh" } });
    const r = rig();
    await r.reader.prove(
      accessTo(registry.host, { credentials: { kind: "identity", token: "r3fresh" } }),
      digest,
      never,
    );
    const failure = await failureOf(
      r.reader.prove(
        accessTo(registry.host, { credentials: { kind: "identity", token: "0ther" } }),
        digest,
        never,
      ),
    );
    expect(failure.reason).toBe("denied");
    expect(failure.message).not.toContain("0ther");
  });

  it("are a token already where the registry gave one", async () => {
    const registry = await double({ auth: { kind: "bearer" } });
    const failure = await failureOf(
      rig().reader.prove(
        accessTo(registry.host, { credentials: { kind: "registry", token: "t0ken" } }),
        digest,
        never,
      ),
    );
    expect(registry.asked.map(({ headers }) => headers["authorization"])).toEqual(["Bearer t0ken"]);
    expect(failure).toMatchObject({ reason: "denied" });
  });

  it("are never sent to a realm in the clear when the registry speaks TLS", async () => {
    const tls = makeSelfSigned(new Date(Date.now() + 3_600_000));
    const registry = await double({
      tls,
      auth: { kind: "bearer", username: "ann", password: "s3cret-word" },
    });
    registry.guard.realm = "http://127.0.0.1:1/token";
    const access = accessTo(registry.host, { credentials: user, plainHttp: false, insecure: true });
    expect(await failureOf(rig().reader.prove(access, digest, never))).toMatchObject({
      message: expect.stringContaining("travel in the clear"),
    });
  });

  it("of many that ask at once take one token", async () => {
    const registry = await double({ auth: { kind: "bearer" } });
    const r = rig();
    await Promise.all(
      Array.from({ length: 20 }, async () => await r.reader.prove(accessTo(registry.host), digest, never)),
    );
    expect(registry.guard.granted).toBe(1);
  });

  it("of two callers are not mixed up", async () => {
    const registry = await double({ auth: { kind: "bearer", username: "ann", password: "s3cret-word" } });
    const r = rig();
    await r.reader.prove(accessTo(registry.host, { credentials: user }), digest, never);
    expect(await failureOf(r.reader.prove(accessTo(registry.host), digest, never))).toMatchObject({
      reason: "denied",
    });
  });

  it("are tried again while the token server is in trouble", async () => {
    const registry = await double({ auth: { kind: "bearer" } });
    registry.spoil("/token", { kind: "status", status: 503 }, 2);
    const r = rig();
    await r.reader.prove(accessTo(registry.host), digest, never);
    expect(r.waits.length).toBe(2);
  });
});

describe("TLS", () => {
  const until = (ms: number) => makeSelfSigned(new Date(Date.now() + ms));

  it("of an unknown authority is refused at once, with the remedy", async () => {
    const registry = await double({ tls: until(3_600_000) });
    const access = accessTo(registry.host, { plainHttp: false });
    const r = rig();
    const failure = await failureOf(r.reader.resolve(access, refer(access), never));
    expect(failure.message).toContain("no known authority signed");
    expect(failure.message).toContain('"ca"');
    expect(failure.reason).toBe("unavailable");
    expect(r.waits).toEqual([]);
  });

  it("is taken by the threads that receive blobs, too", async () => {
    const tls = until(3_600_000);
    const registry = await double({ tls });
    const content = Buffer.alloc(700_000, "0123456789");
    const blob = registry.blob(content);
    const sink = new MemorySink(blob.size);
    const access = accessTo(registry.host, { plainHttp: false });
    const { reader } = rig({ registries: [{ match: "*", ca: [tls.cert] }], limits: { rangeBytes: 200_000 } });
    await reader.fetchBlob(access, blob, sink, never);
    expect(sink.bytes.equals(content)).toBe(true);
    const failure = await failureOf(rig().reader.fetchBlob(access, blob, new MemorySink(blob.size), never));
    expect(failure.message).toContain("no known authority signed");
  });

  it("is taken with its authority, or unchecked where that is said", async () => {
    const tls = until(3_600_000);
    const registry = await double({ tls });
    const r = rig({ registries: [{ match: "*", ca: [tls.cert] }] });
    const access = accessTo(registry.host, { plainHttp: false });
    expect(await r.reader.resolve(access, refer(access), never)).toMatchObject({ digest });
    const insecure = accessTo(registry.host, { plainHttp: false, insecure: true });
    expect(await rig().reader.resolve(insecure, refer(insecure), never)).toMatchObject({ digest });
  });

  it("that has expired is refused, whoever signed", async () => {
    const tls = until(-3_600_000);
    const registry = await double({ tls });
    const access = accessTo(registry.host, { plainHttp: false });
    const failure = await failureOf(
      rig({ registries: [{ match: "*", ca: [tls.cert] }] }).reader.resolve(access, refer(access), never),
    );
    expect(failure.message).toContain("has expired");
  });

  it("for another host is refused", async () => {
    const tls = makeSelfSigned(new Date(Date.now() + 3_600_000), "other.example");
    const registry = await double({ tls });
    const access = accessTo(registry.host, { plainHttp: false });
    const failure = await failureOf(
      rig({ registries: [{ match: "*", ca: [tls.cert] }] }).reader.resolve(access, refer(access), never),
    );
    expect(failure.message).toContain("certificate of another host");
  });

  it("asked of a host without it names plainHttp", async () => {
    const registry = await double();
    const access = accessTo(registry.host, { plainHttp: false });
    const failure = await failureOf(rig().reader.resolve(access, refer(access), never));
    expect(failure.message).toContain("plainHttp");
  });
});

describe("redirects", () => {
  it("of a manifest are followed without Authorization", async () => {
    const storage = await double();
    const registry = await double({ auth: { kind: "basic", username: "ann", password: "s3cret-word" } });
    registry.spoilWhere(({ headers }) => headers["authorization"] !== undefined, {
      kind: "redirect",
      to: `${storage.origin}/v2/a/b/manifests/v1`,
    });
    const access = accessTo(registry.host, { credentials: user });
    expect(await rig().reader.resolve(access, refer(access), never)).toMatchObject({ digest });
    expect(storage.asked.map(({ headers }) => headers["authorization"])).toEqual([undefined]);
  });

  it.each(["/v2/a/b/manifests/v1", "file:///etc/passwd", "http://[", ""])("to %j are refused", async (to) => {
    const registry = await double();
    registry.spoil("manifests", { kind: "redirect", to }, 99);
    const access = accessTo(registry.host);
    const failure = await failureOf(rig().reader.resolve(access, refer(access), never));
    expect(failure).toMatchObject({ reason: "unavailable", message: expect.stringContaining("redirects") });
    expect(registry.count("manifests")).toBeLessThan(10);
  });
});

describe("[Symbol.asyncDispose]()", () => {
  it("ends what is under way as unavailable, and may be called twice", async () => {
    const registry = await double();
    registry.spoil("manifests", { kind: "hang" }, 9);
    const { reader } = rig();
    const access = accessTo(registry.host);
    const failing = failureOf(reader.resolve(access, refer(access), never));
    await expect.poll(() => registry.count("manifests")).toBe(1);
    await reader[Symbol.asyncDispose]();
    await reader[Symbol.asyncDispose]();
    expect(await failing).toMatchObject({
      reason: "unavailable",
      message: expect.stringContaining("the plugin stops"),
    });
    expect(await failureOf(reader.prove(access, digest, never))).toMatchObject({ reason: "unavailable" });
  });
});

describe("a caller that goes away", () => {
  it("while a token is on its way leaves it to those who wait with it", async () => {
    const registry = await double({ auth: { kind: "bearer" } });
    registry.spoil("/token", { kind: "stall", after: 3 });
    const { reader } = rig({ timeouts: { bodyTimeoutMs: 1_500 } });
    const access = accessTo(registry.host);
    const stop = new AbortController();
    const leaving = reader.prove(access, digest, stop.signal);
    const staying = reader.prove(access, digest, never);
    await expect.poll(() => registry.count("/token")).toBe(1);
    stop.abort(new Error("the caller went away"));
    await expect(leaving).rejects.toThrow("the caller went away");
    await staying;
    expect(registry.count("/token")).toBe(2);
  });
});
