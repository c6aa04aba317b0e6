import { stat } from "node:fs/promises";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { file, tar } from "../../testing/tar-bytes.ts";
import { openUnpacker } from "../archive/open-unpacker.ts";
import { type Digest, digestOf } from "../core/digest.ts";
import { Failure, isFailure } from "../core/failure.ts";
import type { PullProgress } from "../core/progress.ts";
import { contentOf, inodeOf, Kit, never, requestFor } from "./testing/kit.ts";
import {
  addFiles,
  addImage,
  addManifest,
  addRepository,
  type Host,
  INDEX,
  type Repository,
} from "./testing/registry-twin.ts";
import { twinLayer } from "./testing/unpacker-twin.ts";
import type { TreeRequest } from "./tree-request.ts";
import type { Trees } from "./trees.ts";

const failing = (reason: Parameters<typeof isFailure>[1]) =>
  expect.toSatisfy((error: unknown) => isFailure(error, reason));

/** Resolves once the condition holds. */
async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise(setImmediate);
}

let kit: Kit;
let host: Host;
let repository: Repository;

beforeEach(async () => {
  kit = await Kit.open();
  host = kit.registry.addHost("r.example");
  repository = addRepository(host, "a");
});

afterEach(async () => {
  await kit[Symbol.asyncDispose]();
});

describe("begin()", () => {
  it("resolves while the pull is in the air, which whoever leases it joins", async () => {
    const digest = addFiles(repository, { f: "content" });
    repository.tags.set("latest", digest);
    const held = Promise.withResolvers<void>();
    kit.registry.gate = () => held.promise;
    const trees = await kit.start();
    const request = requestFor(`r.example/a@${digest}`);
    await trees.begin(request, never.signal);
    const leased = trees.lease(request, never);
    held.resolve();
    using tree = await leased;
    expect(await contentOf(tree)).toEqual({ f: "content" });
    expect(kit.registry.count("blob r.example/a")).toBe(1);
  });

  it("needs nobody who waits, and asks for nothing that is here", async () => {
    const digest = addFiles(repository, { f: "content" });
    const trees = await kit.start();
    const request = requestFor(`r.example/a@${digest}`);
    await trees.begin(request, never.signal);
    await until(() => trees.figures().trees === 1);
    const asked = kit.registry.requests.length;
    await trees.begin(request, never.signal);
    using tree = await trees.lease(request, never);
    expect(kit.registry.requests.length).toBe(asked);
    expect(await contentOf(tree)).toEqual({ f: "content" });
  });

  it("says what is not there", async () => {
    const trees = await kit.start();
    await expect(trees.begin(requestFor("r.example/a:none"), never.signal)).rejects.toEqual(
      failing("not-found"),
    );
  });

  it("leaves what fails in the air to be told to whoever leases it", async () => {
    const digest = addFiles(repository, { f: "content" });
    const held = Promise.withResolvers<void>();
    kit.registry.gate = () => held.promise;
    const trees = await kit.start();
    const request = requestFor(`r.example/a@${digest}`);
    await trees.begin(request, never.signal);
    repository.blobs.clear();
    held.resolve();
    await expect(trees.lease(request, never)).rejects.toEqual(expect.toSatisfy(isFailure));
  });
});

describe("lease()", () => {
  it("brings files once, and hands them out again for no more than a proof", async () => {
    const digest = addFiles(repository, { "a.txt": "A", "deep/in/b.txt": "B" });
    const trees = await kit.start();
    using first = await trees.lease(requestFor(`r.example/a@${digest}`), never);
    expect(first.hit).toBe(false);
    expect(first.layers).toHaveLength(1);
    expect(await contentOf(first)).toEqual({ "a.txt": "A", "deep/in/b.txt": "B" });
    expect((await stat(first.layers[0] ?? "")).mode & 0o777).toBe(0o755);
    const asked = kit.registry.requests.length;
    using second = await trees.lease(requestFor(`r.example/a@${digest}`), never);
    expect(second.hit).toBe(true);
    expect(second.layers).toEqual(first.layers);
    expect(kit.registry.requests.length).toBe(asked);
    expect(await kit.list("ingest")).toEqual([]);
    expect(await kit.list("partials")).toEqual([]);
  });

  it("stacks an image's layers topmost first, each settled over those beneath", async () => {
    const layers = ["1", "2", "3"].map((text) => twinLayer({ files: { same: text, [text]: text } }));
    const digest = addImage(repository, layers);
    const trees = await kit.start();
    using leased = await trees.lease(requestFor(`r.example/a@${digest}`), never);
    expect(leased.layers).toHaveLength(3);
    expect(await contentOf(leased)).toEqual({ same: "3", "1": "1", "2": "2", "3": "3" });
    expect(kit.settled).toHaveLength(3);
    expect(await kit.list("ingest")).toEqual([]);
  });

  it("fetches and unpacks a blob once that occurs in several layers of an image", async () => {
    const empty = twinLayer({ files: { e: "" } });
    const digest = addImage(repository, [empty, twinLayer({ files: { x: "x" } }), empty, empty]);
    const trees = await kit.start();
    using leased = await trees.lease(requestFor(`r.example/a@${digest}`), never);
    expect(leased.layers).toHaveLength(4);
    expect(kit.registry.count(`blob r.example/a ${digestOf(empty)}`)).toBe(1);
    expect(kit.unpacker.unpacked).toBe(2);
  });

  it("fetches and stores once what two artifacts share", async () => {
    const shared = twinLayer({ files: { s: "shared" } });
    const [one, two] = [
      addImage(repository, [shared]),
      addImage(repository, [twinLayer({ files: { b: "b" } }), shared]),
    ];
    const files = [addFiles(repository, { "one.txt": "same" }), addFiles(repository, { "two.txt": "same" })];
    const trees = await kit.start();
    for (const digest of [one, two])
      (await trees.lease(requestFor(`r.example/a@${digest}`), never))[Symbol.dispose]();
    expect(kit.registry.count(`blob r.example/a ${digestOf(shared)}`)).toBe(1);
    using first = await trees.lease(requestFor(`r.example/a@${files[0]}`), never);
    using second = await trees.lease(requestFor(`r.example/a@${files[1]}`), never);
    expect(kit.registry.count(`blob r.example/a ${digestOf("same")}`)).toBe(1);
    expect(await inodeOf(second, "two.txt")).toBe(await inodeOf(first, "one.txt"));
  });

  it("makes one flight of a hundred callers", async () => {
    const digest = addFiles(repository, { big: "x".repeat(300_000) });
    const trees = await kit.start();
    const request = requestFor(`r.example/a@${digest}`);
    const leases = await Promise.all(Array.from({ length: 100 }, () => trees.lease(request, never)));
    expect(kit.registry.count("blob r.example/a")).toBe(1);
    expect(kit.registry.sentBytes.get(digestOf("x".repeat(300_000)))).toBe(300_000);
    for (const lease of leases) lease[Symbol.dispose]();
    expect(trees.figures().joined).toBe(99);
  });

  it("makes one flight per blob on the node, across layers, artifacts, repositories and pods", async () => {
    const [mine, theirs] = ["mine", "theirs"].map((name) => addRepository(host, name, [`of ${name}`]));
    if (mine === undefined || theirs === undefined) throw new Error("no repositories");
    const [shared, one, other] = ["s", "1", "2"].map((text) => twinLayer({ files: { [text]: text } }));
    if (shared === undefined || one === undefined || other === undefined) throw new Error("no layers");
    const requests = [
      requestFor(`r.example/mine@${addImage(mine, [one, shared, shared])}`, { password: "of mine" }),
      requestFor(`r.example/theirs@${addImage(theirs, [shared, other])}`, { password: "of theirs" }),
      requestFor(`r.example/theirs@${addImage(theirs, [other, one, shared])}`, { password: "of theirs" }),
    ];
    const held = Promise.withResolvers<void>();
    const blobs = [shared, one, other].map((layer) => digestOf(layer));
    kit.registry.gate = async (digest) => {
      if (blobs.includes(digest)) await held.promise;
    };
    const trees = await kit.start();
    const leased = Promise.all(requests.map((request) => trees.lease(request, never)));
    await until(() => kit.steps.filter((step) => step === "room found").length === 3);
    held.resolve();
    const leases = await leased;
    const contents = await Promise.all(leases.map(contentOf));
    const all = { s: "s", "1": "1", "2": "2" };
    expect(contents).toEqual([{ s: "s", "1": "1" }, { s: "s", "2": "2" }, all]);
    for (const blob of [shared, one, other])
      expect(kit.registry.sentBytes.get(digestOf(blob))).toBe(blob.length);
    expect(kit.unpacker.unpacked).toBe(3);
    for (const lease of leases) lease[Symbol.dispose]();
  });

  /** The second is asked for once the first has begun with the blob, and waits for that by now. */
  async function inTurn(trees: Trees, [first, second]: readonly [TreeRequest, TreeRequest], blob: Digest) {
    const flying = trees.lease(first, never);
    await until(() => kit.registry.count(`blob r.example/a ${blob}`) === 1);
    const waiting = trees.lease(second, never);
    await until(() => kit.steps.includes("other use found"));
    return [flying, waiting];
  }

  it.each([
    ["a layer and a titled file", 0],
    ["a titled file and a layer", 1],
  ])("makes one flight of a blob that is wanted as %s at the same time", async (_, first) => {
    await using unpacker = openUnpacker({ threads: 1 });
    kit.overrides = { unpacker };
    const blob = tar(file("f", "of the layer"));
    const image = requestFor(`r.example/a@${addImage(repository, [blob])}`);
    const titled = requestFor(`r.example/a@${addFiles(repository, { "layer.tar": blob })}`);
    const requests = first === 0 ? ([image, titled] as const) : ([titled, image] as const);
    const held = Promise.withResolvers<void>();
    kit.registry.gate = async (digest) => void (digest === digestOf(blob) && (await held.promise));
    const trees = await kit.start();
    const leased = await inTurn(trees, requests, digestOf(blob));
    held.resolve();
    const leases = await Promise.all(leased);
    const contents = await Promise.all(leases.map(contentOf));
    const shown = [{ f: "of the layer" }, { "layer.tar": Buffer.from(blob).toString() }];
    expect(contents).toEqual(first === 0 ? shown : shown.toReversed());
    expect(kit.registry.sentBytes.get(digestOf(blob))).toBe(blob.length);
    for (const lease of leases) lease[Symbol.dispose]();
    await until(() => trees.figures().reservedBytes === 0);
    expect(trees.figures()).toMatchObject({ layers: 2, partials: 0 });
    for (const directory of ["partials", "ingest"]) expect(await kit.list(directory)).toEqual([]);
  });

  it("brings a blob for its other use where the first comes to nothing", async () => {
    const blob = twinLayer({ files: { f: "of the layer" } });
    const image = requestFor(`r.example/a@${addImage(repository, [blob])}`);
    const titled = requestFor(`r.example/a@${addFiles(repository, { "layer.tar": blob })}`);
    const held = Promise.withResolvers<void>();
    let sent = 0;
    kit.registry.gate = async (digest) => {
      if (digest !== digestOf(blob)) return;
      await held.promise;
      if (++sent === 1) throw new Failure("unavailable", "cut");
    };
    kit.unpacker.extraBytes = 100 * 2 ** 30;
    const trees = await kit.start();
    const ends = Promise.allSettled(await inTurn(trees, [titled, image], digestOf(blob)));
    held.resolve();
    expect((await ends).map((end) => end.status === "rejected" && end.reason)).toEqual([
      failing("unavailable"),
      failing("full"),
    ]);
    kit.unpacker.extraBytes = 0;
    for (const request of [titled, image]) (await trees.lease(request, never))[Symbol.dispose]();
    await until(() => trees.figures().reservedBytes === 0);
    for (const directory of ["partials", "ingest"]) expect(await kit.list(directory)).toEqual([]);
  });

  it.each(["IfNotPresent", "Always"] as const)(
    "flies on when one waiter after the other goes away, and the last one's retry takes the result, under %s",
    async (pullPolicy) => {
      repository.tags.set("latest", addFiles(repository, { f: "content" }));
      const held = Promise.withResolvers<void>();
      kit.registry.gate = () => held.promise;
      const trees = await kit.start();
      const request = requestFor("r.example/a:latest", { pullPolicy });
      const callers = [1, 2, 3].map(() => new AbortController());
      const waiting = callers.map(({ signal }) => trees.lease(request, { signal }));
      await until(() => kit.registry.count("blob") === 1 && trees.figures().joined === 2);
      for (const [at, caller] of callers.entries()) {
        caller.abort(new Error("the call is over"));
        await expect(waiting[at]).rejects.toThrow("the call is over");
      }
      repository.tags.set("latest", addFiles(repository, { f: "moved" }));
      held.resolve();
      await until(() => kit.metrics.counted.some(({ what }) => what === "pull"));
      const asked = [...kit.registry.requests];
      using leased = await trees.lease(request, never);
      expect(await contentOf(leased)).toEqual({ f: "content" });
      expect(kit.registry.requests).toEqual(asked);
    },
  );

  it("stops waiting when its caller does, and the pull flies on to the next call", async () => {
    const digest = addFiles(repository, { f: "content" });
    repository.tags.set("latest", digest);
    const held = Promise.withResolvers<void>();
    kit.registry.gate = () => held.promise;
    const trees = await kit.start();
    const caller = new AbortController();
    const request = requestFor("r.example/a:latest", { pullPolicy: "Always" });
    const told: string[] = [];
    const waiting = trees.lease(request, {
      signal: caller.signal,
      onProgress: ({ artifact }) => told.push(artifact),
    });
    await until(() => kit.registry.count("blob") === 1);
    caller.abort(new Error("the call is over"));
    await expect(waiting).rejects.toThrow("the call is over");
    expect(told[0]).toBe("r.example/a:latest");
    // At once, and when it left: no byte came in between.
    expect(told).toHaveLength(2);
    // The tag moves while nobody waits: under Always too, who comes back takes what was begun.
    repository.tags.set("latest", addFiles(repository, { f: "moved" }));
    held.resolve();
    using leased = await trees.lease(request, never);
    expect(await contentOf(leased)).toEqual({ f: "content" });
    expect(kit.registry.count("resolve")).toBe(1);
    using fresh = await trees.lease(request, never);
    expect(await contentOf(fresh)).toEqual({ f: "moved" });
  });

  it("tells who leaves what is amiss with the registry of his pull", async () => {
    const digest = addFiles(repository, { f: "content" });
    const held = Promise.withResolvers<void>();
    kit.registry.gate = () => held.promise;
    const trees = await kit.start();
    const caller = new AbortController();
    const told: PullProgress[] = [];
    const onProgress = (progress: PullProgress) => told.push(progress);
    const request = requestFor(`r.example/a@${digest}`);
    const waiting = trees.lease(request, { signal: caller.signal, onProgress });
    await until(() => kit.registry.count("blob") === 1);
    kit.registry.troubles.set("r.example", "the registry broke the connection off");
    caller.abort(new Error("the call is over"));
    await expect(waiting).rejects.toThrow("the call is over");
    expect(told.at(-1)).toMatchObject({ trouble: "the registry broke the connection off" });
    held.resolve();
    using leased = await trees.lease(request, never);
    expect(await contentOf(leased)).toEqual({ f: "content" });
  });

  it("tells once which Tree is arriving, and of one that is here nothing", async () => {
    const digest = addFiles(repository, { f: "x".repeat(300_000) });
    const trees = await kit.start();
    const told: object[] = [];
    const waiter = { ...never, onArriving: (tree: object) => told.push(tree) };
    using leased = await trees.lease(requestFor(`r.example/a@${digest}`), waiter);
    expect(told).toEqual([{ key: leased.key, digest }]);
    using _again = await trees.lease(requestFor(`r.example/a@${digest}`), waiter);
    expect(told).toHaveLength(1);
  });

  it("tells the next caller, once, what failed while nobody waited", async () => {
    const digest = addFiles(repository, { f: "content" });
    const held = Promise.withResolvers<void>();
    kit.registry.gate = () => held.promise;
    const trees = await kit.start();
    const caller = new AbortController();
    const request = requestFor(`r.example/a@${digest}`);
    const waiting = trees.lease(request, { signal: caller.signal });
    await until(() => kit.registry.count("blob") === 1);
    caller.abort(new Error("gone"));
    await expect(waiting).rejects.toThrow("gone");
    const bytes = repository.blobs.get(digestOf("content")) ?? Buffer.of();
    bytes.set(Buffer.from("CONTENT"));
    held.resolve();
    await until(() => kit.metrics.counted.some(({ what }) => what === "pull"));
    await expect(trees.lease(request, never)).rejects.toEqual(failing("corrupt"));
    repository.blobs.set(digestOf("content"), Buffer.from("content"));
    using leased = await trees.lease(request, never);
    expect(await contentOf(leased)).toEqual({ f: "content" });
  });

  it("leaves nothing of wrong bytes, and the next good answer works", async () => {
    const digest = addFiles(repository, { f: "right" });
    repository.blobs.set(digestOf("right"), Buffer.from("wrong"));
    const trees = await kit.start();
    const request = requestFor(`r.example/a@${digest}`);
    await expect(trees.lease(request, never)).rejects.toEqual(failing("corrupt"));
    for (const directory of ["partials", "layers", "trees", "ingest"])
      expect(await kit.list(directory)).toEqual([]);
    repository.blobs.set(digestOf("right"), Buffer.from("right"));
    using leased = await trees.lease(request, never);
    expect(await contentOf(leased)).toEqual({ f: "right" });
  });

  it("reads no file again that was hashed on its way, and finds wrong bytes all the same", async () => {
    const digest = addFiles(repository, { f: "right" });
    repository.blobs.set(digestOf("right"), Buffer.from("wrong"));
    const trees = await kit.start();
    const request = requestFor(`r.example/a@${digest}`);
    await expect(trees.lease(request, never)).rejects.toEqual(failing("corrupt"));
    for (const directory of ["partials", "layers"]) expect(await kit.list(directory)).toEqual([]);
    repository.blobs.set(digestOf("right"), Buffer.from("right"));
    const { verified } = kit.unpacker;
    using leased = await trees.lease(request, never);
    expect(await contentOf(leased)).toEqual({ f: "right" });
    expect(kit.unpacker.verified).toBe(verified);
    expect(await kit.list("partials")).toEqual([]);
  });

  it("passes a mirror by that sent wrong bytes", async () => {
    const digest = addFiles(repository, { f: "right" });
    kit.registry.mirror.set(digestOf("right"), Buffer.from("wrong"));
    const trees = await kit.start();
    using leased = await trees.lease(requestFor(`r.example/a@${digest}`), never);
    expect(await contentOf(leased)).toEqual({ f: "right" });
  });

  it("refuses an artifact of whose blobs one is missing, at once, and resumes from the others", async () => {
    const big = "y".repeat(9 * 2 ** 20);
    const digest = addFiles(repository, { big, small: "small" });
    repository.blobs.delete(digestOf("small"));
    const trees = await kit.start();
    const request = requestFor(`r.example/a@${digest}`);
    await expect(trees.lease(request, never)).rejects.toEqual(failing("not-found"));
    expect(await kit.list("layers")).toEqual([]);
    repository.blobs.set(digestOf("small"), Buffer.from("small"));
    using leased = await trees.lease(request, never);
    expect((await contentOf(leased))["small"]).toBe("small");
    expect(kit.registry.sentBytes.get(digestOf(big))).toBe(big.length);
  });

  it("assembles one directory under layout copy, once per Tree", async () => {
    const digest = addImage(repository, [
      twinLayer({ files: { a: "1" } }),
      twinLayer({ files: { a: "2", b: "2" } }),
    ]);
    const trees = await kit.start();
    const request = requestFor(`r.example/a@${digest}`, { layout: "copy" });
    using first = await trees.lease(request, never);
    expect(first.layers).toHaveLength(1);
    expect(await contentOf(first)).toEqual({ a: "2", b: "2" });
    using second = await trees.lease(request, never);
    expect(second.layers).toEqual(first.layers);
    expect(second.hit).toBe(true);
  });

  it("picks from nested indexes, refuses deeper ones, and says which platforms there are", async () => {
    let inner = addFiles(repository, { f: "f" });
    const wrap = (digest: typeof inner, architecture = "amd64") => {
      const entry = { mediaType: INDEX, digest, size: repository.manifests.get(digest)?.bytes.length };
      return addManifest(
        repository,
        { manifests: [{ ...entry, platform: { os: "linux", architecture } }] },
        INDEX,
      );
    };
    for (let depth = 0; depth < 4; depth++) inner = wrap(inner);
    const trees = await kit.start();
    using leased = await trees.lease(requestFor(`r.example/a@${inner}`), never);
    expect(leased.digest).toBe(inner);
    await expect(trees.lease(requestFor(`r.example/a@${wrap(inner)}`), never)).rejects.toThrow("nested");
    const other = wrap(addFiles(repository, { f: "g" }), "s390x");
    await expect(trees.lease(requestFor(`r.example/a@${other}`), never)).rejects.toThrow("linux/s390x");
  });
});

describe("lease() by tag", () => {
  beforeEach(() => {
    for (const tag of ["v1", "latest"]) repository.tags.set(tag, addFiles(repository, { f: "one" }));
  });
  const move = () => {
    for (const tag of ["v1", "latest"]) repository.tags.set(tag, addFiles(repository, { f: "two" }));
  };
  const read = async (trees: Awaited<ReturnType<Kit["start"]>>, request: ReturnType<typeof requestFor>) => {
    using leased = await trees.lease(request, never);
    return (await contentOf(leased))["f"];
  };

  it("asks again by default for latest only", async () => {
    const trees = await kit.start();
    for (const tag of ["v1", "latest"])
      expect(await read(trees, requestFor(`r.example/a:${tag}`))).toBe("one");
    move();
    expect(await read(trees, requestFor("r.example/a:v1"))).toBe("one");
    expect(await read(trees, requestFor("r.example/a"))).toBe("two");
    expect(await read(trees, requestFor("r.example/a:v1", { pullPolicy: "Always" }))).toBe("two");
  });

  it("asks what a tag means now when the registry has let go of what it meant", async () => {
    const trees = await kit.start();
    const request = requestFor("r.example/a:v1");
    expect(await read(trees, request)).toBe("one");
    repository.manifests.clear();
    move();
    kit.nowMs += 60_000;
    expect(await read(trees, request)).toBe("two");
    expect(await read(trees, requestFor("r.example/a:v1", { pullPolicy: "Never" }))).toBe("two");
    repository.manifests.clear();
    repository.tags.clear();
    kit.nowMs += 60_000;
    await expect(trees.lease(request, never)).rejects.toEqual(failing("not-found"));
  });

  it("remembers over a restart what a tag meant", async () => {
    await read(await kit.start(), requestFor("r.example/a:v1"));
    move();
    expect(await read(await kit.start(), requestFor("r.example/a:v1"))).toBe("one");
    expect(kit.registry.count("resolve")).toBe(1);
  });

  it("forgets the tags of what was collected, and no others", async () => {
    const trees = await kit.start();
    await read(trees, requestFor("r.example/a:v1"));
    move();
    using _leased = await trees.lease(requestFor("r.example/a:latest"), never);
    await trees.collect(Number.MAX_SAFE_INTEGER);
    await trees.tend();
    expect(await kit.list("tags")).toHaveLength(1);
    const asked = kit.registry.count("resolve");
    expect(await read(trees, requestFor("r.example/a:v1"))).toBe("two");
    expect(kit.registry.count("resolve")).toBe(asked + 1);
    expect(await kit.list("tags")).toHaveLength(2);
    await trees.tend();
    expect(await read(await kit.start(), requestFor("r.example/a:v1"))).toBe("two");
    expect(kit.registry.count("resolve")).toBe(asked + 1);
  });

  it("never pulls under Never, and says what would help", async () => {
    const trees = await kit.start();
    const request = requestFor("r.example/a:v1", { pullPolicy: "Never" });
    await expect(trees.lease(request, never)).rejects.toThrow("IfNotPresent");
    await read(trees, requestFor("r.example/a:v1"));
    move();
    expect(await read(trees, request)).toBe("one");
  });

  it("serves under Always what the tag last meant while the registry is down, and says so", async () => {
    const trees = await kit.start();
    const request = requestFor("r.example/a:latest");
    await read(trees, request);
    host.isDown = true;
    using leased = await trees.lease(request, never);
    expect(await contentOf(leased)).toEqual({ f: "one" });
    expect(leased.notes.join()).toContain("cannot be reached");
    // Only for as long as the proof lives.
    kit.nowMs += 60_000;
    await expect(trees.lease(request, never)).rejects.toEqual(failing("unavailable"));
  });

  it("serves nothing while the registry is down where the settings forbid it", async () => {
    kit.settings = { ...kit.settings, staleTags: false };
    const trees = await kit.start();
    await read(trees, requestFor("r.example/a:latest"));
    host.isDown = true;
    await expect(trees.lease(requestFor("r.example/a:latest"), never)).rejects.toEqual(
      failing("unavailable"),
    );
  });
});
