import { randomBytes } from "node:crypto";
import { closeSync, openSync, readFileSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import { afterEach, describe, expect, it } from "vitest";
import type { Misbehaviour } from "../../testing/faults.ts";
import {
  type DoubleOptions,
  openRegistryDouble,
  type RegistryDouble,
} from "../../testing/registry-double.ts";
import { StorageDouble } from "../../testing/storage-double.ts";
import { isFailure, type Reason } from "../core/failure.ts";
import type { Range } from "../core/ranges.ts";
import { openMemoryFile } from "../host/memory-file.ts";
import type { BlobSink } from "./reader.ts";
import { MemorySink } from "./testing/memory-sink.ts";
import { accessTo, Rig, type RigOptions } from "./testing/rig.ts";

const never = new AbortController().signal;
const RANGE = 256 * 1024;
const content = randomBytes(10 * RANGE + 12_345);

let open = new AsyncDisposableStack();
afterEach(async () => {
  await open.disposeAsync();
  open = new AsyncDisposableStack();
});

async function setUp(options?: DoubleOptions, rigOptions: RigOptions = {}) {
  const registry = open.use(await openRegistryDouble(options));
  const blob = registry.blob(content);
  const limits = { rangeBytes: RANGE, ...rigOptions.limits };
  const rig = open.use(new Rig({ ...rigOptions, limits }));
  const access = accessTo(registry.host);
  const bring = async (sink: BlobSink, signal = never) =>
    await rig.reader.fetchBlob(access, blob, sink, signal);
  return { registry, blob, rig, access, bring };
}

async function mirrorOf(registry: RegistryDouble): Promise<RegistryDouble> {
  const mirror = open.use(await openRegistryDouble());
  expect(mirror.host).not.toBe(registry.host);
  return mirror;
}

async function failureOf(promise: Promise<unknown>): Promise<{ reason: Reason; message: string }> {
  const error: unknown = await promise.then(
    () => "resolved",
    (error: unknown) => error,
  );
  if (!isFailure(error)) throw error instanceof Error ? error : new Error(String(error));
  return error;
}

const rangesAsked = (registry: RegistryDouble) =>
  registry.asked.filter(({ path }) => path.includes("/blobs/")).map(({ headers }) => headers["range"]);

describe("fetchBlob()", () => {
  it("asks for every range once, several at a time, and each byte is sent once", async () => {
    const { registry, blob, bring, rig } = await setUp(undefined, { limits: { connections: 4 } });
    const sink = new MemorySink(blob.size);
    const four = Promise.withResolvers<void>();
    let waiting = 0;
    sink.before = async () => {
      waiting += 1;
      if (waiting === 4) four.resolve();
      await four.promise;
    };
    await bring(sink);
    expect(sink.bytes.equals(content)).toBe(true);
    expect(new Set(rangesAsked(registry)).size).toBe(11);
    expect(registry.bytesSent(blob.digest)).toBe(content.length);
    expect(registry.mostAtOnce).toBeLessThanOrEqual(4);
    expect(registry.connections).toBeLessThanOrEqual(6);
    expect(rig.bytesBy.get("upstream")).toBe(content.length);
  });

  it("tells of what arrives in large pieces", async () => {
    const { blob, bring } = await setUp(undefined, { limits: { rangeBytes: 8 * RANGE, connections: 1 } });
    const sink = new MemorySink(blob.size);
    await bring(sink);
    expect(sink.writes.length).toBeLessThanOrEqual(Math.ceil(content.length / RANGE) + 2);
  });

  it("hashes on its way what one answer brings whole, and nothing else", async () => {
    const { blob, bring, registry } = await setUp(undefined, { limits: { rangeBytes: 16 * RANGE } });
    const hashed = async (spoiling?: Misbehaviour, missing?: Range[]) => {
      if (spoiling !== undefined) registry.spoil("blobs", spoiling);
      const sink = new MemorySink(blob.size, missing);
      sink.hashes = true;
      await bring(sink);
      return sink.digest;
    };
    expect(await hashed()).toBe(blob.digest);
    expect(await hashed({ kind: "whole" })).toBe(blob.digest);
    expect(await hashed({ kind: "cut", after: RANGE })).toBeUndefined();
    expect(await hashed(undefined, [{ start: 1, end: blob.size }])).toBeUndefined();
  });

  it("puts the bytes into a file where that is what the sink has, and passes the disk's refusal on", async () => {
    const { blob, bring } = await setUp();
    using file = openMemoryFile(Buffer.alloc(0));
    const sink = new MemorySink(blob.size);
    await bring(Object.assign(sink, { into: file.fd }));
    expect(readFileSync(`/dev/fd/${file.fd}`).equals(content)).toBe(true);
    const readOnly = openSync(`/dev/fd/${file.fd}`, "r");
    try {
      const refused = bring(Object.assign(new MemorySink(blob.size), { into: readOnly }));
      await expect(refused).rejects.toMatchObject({ code: "EBADF", syscall: "write" });
    } finally {
      closeSync(readOnly);
    }
  });

  it("brings only what is missing", async () => {
    const { registry, blob, bring } = await setUp();
    const missing: Range[] = [
      { start: 5, end: 10 },
      { start: RANGE - 3, end: RANGE + 4 },
    ];
    const sink = new MemorySink(blob.size, missing);
    await bring(sink);
    expect(registry.bytesSent(blob.digest)).toBe(12);
    expect(sink.bytes.subarray(5, 10).equals(content.subarray(5, 10))).toBe(true);
    expect(sink.bytes.subarray(RANGE - 3, RANGE + 4).equals(content.subarray(RANGE - 3, RANGE + 4))).toBe(
      true,
    );
  });

  it("asks for nothing when nothing is missing, the empty blob included", async () => {
    const { registry, blob, bring } = await setUp();
    await bring(new MemorySink(blob.size, []));
    await bring(new MemorySink(0));
    expect(registry.asked).toEqual([]);
  });

  it("keeps the one stream when the registry answers 200 to a range", async () => {
    const { registry, blob, bring } = await setUp();
    registry.spoil("blobs", { kind: "whole" }, 99);
    const sink = new MemorySink(blob.size);
    await bring(sink);
    expect(sink.bytes.equals(content)).toBe(true);
    expect(registry.count("blobs")).toBe(1);
  });

  it("takes only what is missing out of a 200", async () => {
    const { registry, blob, bring } = await setUp();
    registry.spoil("blobs", { kind: "whole" }, 99);
    const sink = new MemorySink(blob.size, [
      { start: 7, end: 9 },
      { start: 3 * RANGE, end: 3 * RANGE + 100 },
    ]);
    await bring(sink);
    expect(sink.writes.map(({ offset, length }) => [offset, length])).toEqual([
      [7, 2],
      [3 * RANGE, 100],
    ]);
    expect(registry.count("blobs")).toBe(1);
  });

  it("copes with a registry that serves ranges only at times", async () => {
    const { registry, blob, bring } = await setUp(undefined, { limits: { connections: 4 } });
    let asked = 0;
    registry.spoilWhere(({ path }) => path.includes("blobs") && ++asked % 3 === 2, { kind: "whole" }, 99);
    const sink = new MemorySink(blob.size);
    await bring(sink);
    expect(sink.bytes.equals(content)).toBe(true);
  });

  it.each<[string, Misbehaviour]>([
    ["429", { kind: "status", status: 429 }],
    ["429 with Retry-After", { kind: "status", status: 429, headers: { "retry-after": "1" } }],
    ["500", { kind: "status", status: 500 }],
    ["503", { kind: "status", status: 503 }],
    ["a connection that hangs", { kind: "hang" }],
    ["a body that stalls", { kind: "stall", after: 100_000 }],
    ["a cut before any byte", { kind: "cut", after: 0 }],
    ["a cut after one byte", { kind: "cut", after: 1 }],
    ["a cut in the middle", { kind: "cut", after: 100_001 }],
    ["a cut before the last byte", { kind: "cut", after: RANGE - 1 }],
    ["a range that was not asked", { kind: "other-range", by: 1 }],
    ["a range of another whole", { kind: "other-size", by: 1 }],
    ["more than promised, told", { kind: "length", by: 1, told: true }],
    ["more than promised, not told", { kind: "length", by: 1, told: false }],
    ["less than promised, told", { kind: "length", by: -1, told: true }],
    ["less than promised, not told", { kind: "length", by: -1, told: false }],
    ["zero bytes, told", { kind: "length", by: -RANGE, told: true }],
    ["zero bytes, not told", { kind: "length", by: -RANGE, told: false }],
    ["an encoding nobody asked for", { kind: "encoded" }],
    ["what is not HTTP", { kind: "not-http" }],
    ["a status that is none", { kind: "not-http", bytes: "HTTP/1.1 000 \r\n\r\n" }],
    ["416", { kind: "status", status: 416 }],
  ])("gets over %s", async (_, fault) => {
    const { registry, blob, bring, rig } = await setUp(undefined, {
      timeouts: { headersTimeoutMs: 1_500, bodyTimeoutMs: 1_500 },
    });
    registry.spoil("blobs", fault, 2);
    const sink = new MemorySink(blob.size);
    await bring(sink);
    expect(sink.bytes.equals(content)).toBe(true);
    expect(rig.retries.length).toBe(2);
  });

  it.each<[string, Misbehaviour]>([
    ["hangs", { kind: "stall", after: 1_000 }],
    ["is cut", { kind: "cut", after: 700_000 }],
    ["ends early", { kind: "length", by: -5, told: false }],
    ["goes on too long", { kind: "length", by: 5, told: false }],
  ])("gets over a 200 that %s", async (_, fault) => {
    const { registry, blob, bring } = await setUp(undefined, { timeouts: { bodyTimeoutMs: 1_500 } });
    registry.ignoreRanges = true;
    registry.spoil("blobs", fault);
    const sink = new MemorySink(blob.size);
    await bring(sink);
    expect(sink.bytes.equals(content)).toBe(true);
    expect(registry.count("blobs")).toBe(2);
  });

  it("is cut at any byte and goes on from there, not from the start", async () => {
    const { registry, blob, bring } = await setUp(undefined, { limits: { connections: 1 } });
    registry.spoil("blobs", { kind: "cut", after: 200_000 });
    const sink = new MemorySink(blob.size);
    await bring(sink);
    const [first, second] = rangesAsked(registry);
    expect(first).toBe(`bytes=0-${RANGE - 1}`);
    const start = Number(/bytes=(\d+)-/.exec(String(second))?.[1]);
    expect(start).toBeGreaterThan(0);
    expect(start).toBeLessThanOrEqual(200_000);
    expect(sink.bytes.equals(content)).toBe(true);
  });

  it.each<[string, Misbehaviour, Reason, string]>([
    ["401", { kind: "status", status: 401 }, "denied", "answered 401"],
    ["403", { kind: "status", status: 403 }, "denied", "answered 403"],
    ["404", { kind: "status", status: 404 }, "not-found", "answered 404"],
    ["413", { kind: "status", status: 413 }, "unsupported", "answered 413"],
    ["503", { kind: "status", status: 503 }, "unavailable", "answered 503"],
    ["429", { kind: "status", status: 429 }, "unavailable", "answered 429"],
    ["a cut", { kind: "cut", after: 0 }, "unavailable", "broke the connection off"],
    ["another range", { kind: "other-range", by: 5 }, "corrupt", "to a request for"],
    ["another size", { kind: "other-size", by: 5 }, "corrupt", "where the manifest says"],
    ["too many bytes", { kind: "length", by: 1, told: false }, "corrupt", "sent more than"],
    ["too few bytes", { kind: "length", by: -1, told: false }, "corrupt", "sent fewer than"],
    ["zero bytes", { kind: "length", by: -RANGE, told: true }, "corrupt", "promises 0 bytes"],
  ])("ends with its Reason when the registry always answers %s", async (_, fault, reason, words) => {
    const { registry, blob, bring, access } = await setUp();
    registry.spoil("blobs", fault, 10_000);
    const failure = await failureOf(bring(new MemorySink(blob.size)));
    expect(failure.reason).toBe(reason);
    expect(failure.message).toContain(words);
    expect(failure.message).toContain(`Cannot pull the blob ${blob.digest} of ${access.host}/a/b: `);
  });

  it("is not-found for the one blob of many that is gone, and the others come", async () => {
    const { registry, rig, access, blob } = await setUp();
    const gone = { digest: registry.blob("x").digest, size: 1 };
    registry.spoil(gone.digest, { kind: "status", status: 404 }, 9);
    const sink = new MemorySink(blob.size);
    const [bad, good] = await Promise.allSettled([
      rig.reader.fetchBlob(access, gone, new MemorySink(1), never),
      rig.reader.fetchBlob(access, blob, sink, never),
    ]);
    expect(bad).toMatchObject({
      reason: { reason: "not-found", message: expect.stringContaining(gone.digest) },
    });
    expect(good.status).toBe("fulfilled");
  });

  it("brings wrong bytes of the right length as they are: the digest is the caller's", async () => {
    const { registry, blob, bring } = await setUp();
    registry.spoil("blobs", { kind: "wrong-bytes" }, 99);
    const sink = new MemorySink(blob.size);
    await bring(sink);
    expect(sink.bytes.equals(content)).toBe(false);
  });

  it("does not wait for a registry that sends a byte at a time", async () => {
    const { registry, blob, bring } = await setUp(undefined, { limits: { connections: 1 } });
    registry.spoil("blobs", { kind: "cut", after: 1 }, 10_000);
    expect(await failureOf(bring(new MemorySink(blob.size)))).toMatchObject({ reason: "unavailable" });
  });

  it("goes on for longer than two minutes while bytes come", async () => {
    const { registry, blob, bring, rig } = await setUp(undefined, { limits: { connections: 1 } });
    registry.spoil("blobs", { kind: "cut", after: 130_000 }, 10_000);
    registry.spoil("nothing", { kind: "hang" });
    const before = rig.now;
    const sink = new MemorySink(blob.size);
    sink.before = async () => {
      rig.now += 30_000;
    };
    await bring(sink);
    expect(rig.now - before).toBeGreaterThan(300_000);
    expect(sink.bytes.equals(content)).toBe(true);
  });

  it("passes the sink's own error through, writes nothing afterwards, and lets all connections go", async () => {
    const { blob, bring } = await setUp();
    const sink = new MemorySink(blob.size);
    let failed = false;
    sink.before = async (offset) => {
      if (failed) return;
      if (offset < 2 * RANGE) return;
      failed = true;
      throw Object.assign(new Error("no space left"), { code: "ENOSPC" });
    };
    await expect(bring(sink)).rejects.toThrow("no space left");
    const written = sink.writes.length;
    await delay(20);
    expect(sink.writes.length).toBe(written);
    await bring(new MemorySink(blob.size));
  });

  it("stops when it is aborted, writes nothing afterwards, and can be taken up again", async () => {
    const { registry, blob, bring } = await setUp(undefined, { limits: { connections: 2 } });
    const stop = new AbortController();
    const sink = new MemorySink(blob.size);
    sink.before = async () => {
      if (sink.writes.length === 3) stop.abort(new Error("enough"));
    };
    await expect(bring(sink, stop.signal)).rejects.toThrow("enough");
    const written = sink.writes.length;
    await delay(20);
    expect(sink.writes.length).toBe(written);
    const have = sink.writes.reduce((sum, { length }) => sum + length, 0);
    const missing = missingOf(sink);
    const again = new MemorySink(blob.size, missing);
    const sent = registry.bytesSent(blob.digest);
    await bring(again);
    expect(registry.bytesSent(blob.digest) - sent).toBe(content.length - have);
  });

  it("shares one repository's connections among its blobs, and the node's among all", async () => {
    const { registry, rig, access } = await setUp(undefined, {
      limits: { connections: 3, nodeConnections: 4, rangeBytes: 1_000 },
    });
    const blobs = Array.from({ length: 12 }, (_, at) => registry.blob(randomBytes(3_000 + at)));
    await Promise.all(
      blobs.map(
        async (blob, at) =>
          await rig.reader.fetchBlob(
            { ...access, repository: at % 2 === 0 ? "a/b" : "c/d" },
            blob,
            new MemorySink(blob.size),
            never,
          ),
      ),
    );
    expect(registry.mostAtOnce).toBeLessThanOrEqual(4);
  });
});

describe("tokens in mid-blob", () => {
  it("are renewed when they expire, once for all ranges", async () => {
    const { registry, blob, bring } = await setUp(
      { auth: { kind: "bearer", uses: 4 } },
      { limits: { connections: 3 } },
    );
    const sink = new MemorySink(blob.size);
    await bring(sink);
    expect(sink.bytes.equals(content)).toBe(true);
    expect(registry.guard.granted).toBeGreaterThanOrEqual(3);
    expect(registry.guard.granted).toBeLessThanOrEqual(6);
  });

  it("that the server does not give any more are denied", async () => {
    const { registry, blob, bring } = await setUp({ auth: { kind: "bearer", uses: 3 } });
    registry.spoilWhere(
      ({ path }) => path === "/token" && registry.guard.granted > 0,
      { kind: "status", status: 403 },
      99,
    );
    expect(await failureOf(bring(new MemorySink(blob.size)))).toMatchObject({
      reason: "denied",
      message: expect.stringContaining("the token server of the registry answered 403"),
    });
  });
});

describe("redirects to storage", () => {
  async function withStorage(auth?: DoubleOptions["auth"]) {
    const storage = open.use(await new StorageDouble().listen());
    const all = await setUp(
      { ...(auth === undefined ? {} : { auth }), storage: (digest) => storage.sign(digest) },
      { limits: { connections: 2 } },
    );
    storage.object(all.blob.digest, content);
    return { ...all, storage };
  }

  it("are asked for once and remembered for the blob, without Authorization", async () => {
    const { registry, storage, blob, rig, access } = await withStorage({
      kind: "bearer",
      username: "ann",
      password: "s3cret-word",
    });
    const sink = new MemorySink(blob.size);
    const credentials = { kind: "basic", username: "ann", password: "s3cret-word" } as const;
    await rig.reader.fetchBlob({ ...access, credentials }, blob, sink, never);
    expect(sink.bytes.equals(content)).toBe(true);
    expect(storage.signed).toBe(1);
    expect(registry.asked.filter(({ path }) => path.includes("blobs")).length).toBe(2);
    expect(storage.asked.length).toBe(11);
    expect(storage.asked.filter(({ headers }) => headers["authorization"] !== undefined)).toEqual([]);
  });

  it("are renewed when the storage answers 403 in mid-blob", async () => {
    const { storage, blob, bring } = await withStorage();
    const sink = new MemorySink(blob.size);
    sink.before = async () => {
      if (sink.writes.length === 2 || sink.writes.length === 6) storage.expire();
    };
    await bring(sink);
    expect(sink.bytes.equals(content)).toBe(true);
    expect(storage.signed).toBeGreaterThan(1);
    expect(storage.signed).toBeLessThan(8);
  });

  it("lead elsewhere when the storage dies in mid-blob and the registry knows another", async () => {
    const dying = await new StorageDouble().listen();
    const other = open.use(await new StorageDouble().listen());
    let current = dying;
    const { blob, bring } = await setUp(
      { storage: (digest) => current.sign(digest) },
      { limits: { connections: 2 } },
    );
    for (const storage of [dying, other]) storage.object(blob.digest, content);
    const sink = new MemorySink(blob.size);
    let death: Promise<void> | undefined;
    sink.before = async () => {
      if (sink.writes.length < 2 || death !== undefined) return;
      current = other;
      await (death = dying[Symbol.asyncDispose]());
    };
    await bring(sink);
    expect(sink.bytes.equals(content)).toBe(true);
    expect(other.asked.length).toBeGreaterThan(0);
  });

  it("that the storage refuses even when fresh are denied, naming the storage", async () => {
    const { storage, registry, blob, bring } = await withStorage();
    registry.spoil(
      "blobs",
      { kind: "redirect", to: storage.sign(blob.digest).replace(/signature=\d+/, "signature=x") },
      99,
    );
    const failure = await failureOf(bring(new MemorySink(blob.size)));
    expect(failure).toMatchObject({ reason: "denied", message: expect.stringContaining("the storage") });
  });

  it("in a circle are refused", async () => {
    const { registry, blob, bring } = await setUp();
    registry.spoil("blobs", { kind: "redirect", to: `/v2/a/b/blobs/${blob.digest}` }, 999);
    expect(await failureOf(bring(new MemorySink(blob.size)))).toMatchObject({
      reason: "unavailable",
      message: expect.stringContaining("in a circle"),
    });
  });
});

describe("blobs from mirrors", () => {
  async function mirrored(count = 1) {
    const { registry, blob } = await setUp();
    const mirrors = await Promise.all(Array.from({ length: count }, async () => await mirrorOf(registry)));
    for (const mirror of mirrors) mirror.blob(content);
    const rig = open.use(
      new Rig({
        registries: [{ match: registry.host, mirrors: mirrors.map(({ origin }) => ({ url: origin })) }],
        limits: { rangeBytes: RANGE, connections: 3 },
        timeouts: { headersTimeoutMs: 1_500, bodyTimeoutMs: 1_500 },
      }),
    );
    const access = accessTo(registry.host, {
      credentials: { kind: "basic", username: "ann", password: "s3cret-word" },
    });
    const bring = async (more: { upstreamOnly?: boolean } = {}) => {
      const sink = new MemorySink(blob.size);
      await rig.reader.fetchBlob(access, { ...blob, ...more }, sink, never);
      expect(sink.bytes.equals(content)).toBe(true);
      return sink;
    };
    return { registry, mirrors, rig, bring, blob };
  }

  it("come from the first, with ?ns= and never with the registry's credentials", async () => {
    const { registry, mirrors, bring, rig } = await mirrored();
    const sink = await bring();
    expect(registry.asked).toEqual([]);
    expect(new Set(sink.writes.map(({ source }) => source.kind))).toEqual(new Set(["mirror"]));
    expect(rig.bytesBy.get("mirror")).toBe(content.length);
    const asked = mirrors[0]?.asked.filter(({ path }) => path.includes("blobs")) ?? [];
    expect(new Set(asked.map(({ query }) => query))).toEqual(
      new Set([`?ns=${encodeURIComponent(registry.host)}`]),
    );
    expect(asked.filter(({ headers }) => headers["authorization"] !== undefined)).toEqual([]);
  });

  it.each<[string, Misbehaviour]>([
    ["lacks it", { kind: "status", status: 404 }],
    ["is in trouble", { kind: "status", status: 502 }],
    ["wants credentials", { kind: "status", status: 401 }],
    ["hangs", { kind: "hang" }],
    ["cuts", { kind: "cut", after: 1_000 }],
    ["sends another range", { kind: "other-range", by: 3 }],
    ["sends nothing", { kind: "length", by: -RANGE, told: false }],
  ])("come from the next, at once, when the first %s", async (_, fault) => {
    const { mirrors, bring, rig } = await mirrored(2);
    mirrors[0]?.spoil("blobs", fault, 9_999);
    await bring();
    expect(mirrors[1]?.count("blobs")).toBeGreaterThan(0);
    expect(rig.waits).toEqual([]);
  });

  it("come from the registry when the mirror is gone, which costs nothing the second time", async () => {
    const { mirrors, bring, rig, registry } = await mirrored();
    const [mirror] = mirrors;
    const { host } = mirror ?? registry;
    await bring();
    await mirror?.[Symbol.asyncDispose]();
    mirrors.length = 0;
    const sink = await bring();
    expect(sink.writes.every(({ source }) => source.kind === "upstream")).toBe(true);
    expect(rig.dead).toEqual([host]);
    expect(rig.waits).toEqual([]);
    await bring();
    expect(rig.dead).toEqual([host]);
  });

  it("are passed by where upstreamOnly is said", async () => {
    const { mirrors, bring } = await mirrored();
    await bring({ upstreamOnly: true });
    expect(mirrors[0]?.count("blobs")).toBe(0);
  });
});

function missingOf(sink: MemorySink): Range[] {
  const written = sink.writes
    .map(({ offset, length }) => ({ start: offset, end: offset + length }))
    .sort((a, b) => a.start - b.start);
  const missing: Range[] = [];
  let at = 0;
  for (const { start, end } of written) {
    if (start > at) missing.push({ start: at, end: start });
    at = end;
  }
  if (at < sink.size) missing.push({ start: at, end: sink.size });
  return missing;
}
