import { mkdir, readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { digestOf } from "../core/digest.ts";
import { Failure } from "../core/failure.ts";
import { contentOf, Kit, never, requestFor } from "./testing/kit.ts";
import { addFiles, addImage, addRepository, type Repository } from "./testing/registry-twin.ts";
import { twinLayer } from "./testing/unpacker-twin.ts";

const MiB = 2 ** 20;

async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise(setImmediate);
}

let kit: Kit;
let repository: Repository;

beforeEach(async () => {
  kit = await Kit.open();
  repository = addRepository(kit.registry.addHost("r.example"), "a");
});

afterEach(async () => {
  await kit[Symbol.asyncDispose]();
});

/** Starts, runs `work` until the step is reached, and leaves everything as a crash there would. */
async function crashAt(
  step: string,
  work: (trees: Awaited<ReturnType<Kit["start"]>>) => Promise<unknown>,
): Promise<void> {
  kit.stopAt = step;
  kit.steps.length = 0;
  const trees = await kit.start({ crashes: true });
  const ended = work(trees).then(() => "ended");
  await Promise.race([until(() => kit.steps.includes(step)), ended]);
  expect(kit.steps).toContain(step);
  kit.stopAt = undefined;
}

describe("a start after a crash in an ingest", () => {
  it.each([
    "manifest read",
    "room found",
    "blob unpacked",
    "layer filled",
    "layer recorded",
    "layer in place",
    "tree in place",
    "synced",
  ])("converges from the step: %s", async (step) => {
    const image = addImage(repository, [twinLayer({ files: { a: "1" } }), twinLayer({ files: { b: "2" } })]);
    const files = addFiles(repository, { "x.txt": "X", "d/y.txt": "Y" });
    for (const [digest, content] of [
      [image, { a: "1", b: "2" }],
      [files, { "x.txt": "X", "d/y.txt": "Y" }],
    ] as const) {
      if (digest === files && step === "blob unpacked") continue;
      const request = requestFor(`r.example/a@${digest}`, { layout: "copy" });
      await crashAt(step, async (trees) => {
        await trees.lease(request, never);
        await trees.tend();
      });
      const again = await kit.start();
      using leased = await again.lease(request, never);
      expect(await contentOf(leased)).toEqual(content);
      await again[Symbol.asyncDispose]();
      for (const directory of ["ingest", "trash", "partials"]) expect(await kit.list(directory)).toEqual([]);
      expect(again.figures().reservedBytes).toBe(0);
    }
  });

  it("resumes a blob from what was written, not from its first byte", async () => {
    const big = "z".repeat(17 * MiB);
    const request = requestFor(`r.example/a@${addFiles(repository, { big })}`);
    const first = await kit.start({ crashes: true });
    kit.registry.gate = async (_digest, offset) => {
      if (offset >= 13 * MiB) await new Promise(() => {});
    };
    void first.lease(request, never);
    await until(
      () => kit.registry.requests.length > 0 && [...kit.registry.sentBytes.values()][0] === 13 * MiB,
    );
    kit.registry.gate = () => Promise.resolve();
    kit.registry.sentBytes.clear();
    const again = await kit.start();
    using leased = await again.lease(request, never);
    expect((await contentOf(leased))["big"]).toBe(big);
    expect([...kit.registry.sentBytes.values()]).toEqual([5 * MiB]);
    expect(await kit.list("partials")).toEqual([]);
  });

  it("resumes what a stop in good order interrupted, and tells its waiters why", async () => {
    const big = "z".repeat(9 * MiB);
    const request = requestFor(`r.example/a@${addFiles(repository, { big })}`);
    const first = await kit.start();
    const held = Promise.withResolvers<void>();
    kit.registry.gate = async (_digest, offset) => {
      if (offset >= 5 * MiB) await held.promise;
    };
    const waiting = first.lease(request, never);
    const told = expect(waiting).rejects.toThrow("The plugin is stopping");
    await until(() => [...kit.registry.sentBytes.values()][0] === 5 * MiB);
    const stopped = first[Symbol.asyncDispose]();
    held.resolve();
    await Promise.all([told, stopped]);
    kit.boot = "boot-2";
    kit.registry.sentBytes.clear();
    const again = await kit.start();
    expect(again.figures()).toMatchObject({ partials: 1, usedBytes: 4 * MiB });
    using leased = await again.lease(request, never);
    expect(leased.layers).toHaveLength(1);
    expect([...kit.registry.sentBytes.values()]).toEqual([5 * MiB]);
  });
});

describe("a resumed blob whose first bytes the disk lost", () => {
  const big = "z".repeat(9 * MiB);
  const broken = { empty: "", cut: "z".repeat(MiB), other: "y".repeat(9 * MiB) };

  async function interrupt() {
    const request = requestFor(`r.example/a@${addFiles(repository, { big })}`);
    const first = await kit.start();
    const held = Promise.withResolvers<void>();
    kit.registry.gate = async (_digest, offset) => {
      if (offset >= 5 * MiB) await held.promise;
    };
    const waiting = first.lease(request, never).catch(() => undefined);
    await until(() => [...kit.registry.sentBytes.values()][0] === 5 * MiB);
    const stopped = first[Symbol.asyncDispose]();
    held.resolve();
    await Promise.all([waiting, stopped]);
    const [partial = ""] = await kit.list("partials");
    return { request, data: path.join(kit.root, "partials", partial, "data") };
  }

  it.each(Object.keys(broken) as Array<keyof typeof broken>)(
    "is brought again from its first byte, and its caller hears nothing of it: %s",
    async (how) => {
      const { request, data } = await interrupt();
      await writeFile(data, broken[how]);
      const again = await kit.start();
      kit.registry.sentBytes.clear();
      using leased = await again.lease(request, never);
      expect((await contentOf(leased))["big"]).toBe(big);
      expect([...kit.registry.sentBytes.values()]).toEqual([5 * MiB + 9 * MiB]);
      expect(await kit.list("partials")).toEqual([]);
    },
  );

  it("is refused when the registry's are wrong as well", async () => {
    const { request, data } = await interrupt();
    await writeFile(data, broken.other);
    repository.blobs.set(digestOf(big), Buffer.from(broken.other));
    const again = await kit.start();
    await expect(again.lease(request, never)).rejects.toMatchObject({ reason: "corrupt" });
    expect(await kit.list("partials")).toEqual([]);
  });
});

describe("a start after a crash in a collection", () => {
  it.each(["tree removed", "layer removed"])("converges from the step: %s", async (step) => {
    kit.settings = {
      ...kit.settings,
      marks: { high: { kind: "bytes", bytes: 3 * MiB }, low: { kind: "bytes", bytes: MiB } },
    };
    const requests = ["a", "b", "c"].map((name) =>
      requestFor(`r.example/a@${addFiles(repository, { [name]: name.repeat(MiB + 4096) })}`),
    );
    await crashAt(step, async (trees) => {
      for (const request of requests) (await trees.lease(request, never))[Symbol.dispose]();
    });
    const again = await kit.start();
    for (const request of requests) {
      using leased = await again.lease(request, never);
      expect(Object.values(await contentOf(leased))[0]).toHaveLength(MiB + 4096);
      expect(again.figures().usedBytes).toBeLessThanOrEqual(3 * MiB);
    }
    await again[Symbol.asyncDispose]();
    for (const directory of ["ingest", "trash"]) expect(await kit.list(directory)).toEqual([]);
  });

  it("converges from the step: partial removed", async () => {
    kit.settings = {
      ...kit.settings,
      marks: { high: { kind: "bytes", bytes: 12 * MiB }, low: { kind: "bytes", bytes: 10 * MiB } },
    };
    const requestOf = (text: string) =>
      requestFor(`r.example/a@${addFiles(repository, { [text]: text.repeat(9 * MiB) })}`);
    const [cut, other] = [requestOf("p"), requestOf("o")];
    kit.registry.gate = async (digest, offset) => {
      if (digest === digestOf("p".repeat(9 * MiB)) && offset >= 5 * MiB)
        throw new Failure("unavailable", "cut");
    };
    await crashAt("partial removed", async (trees) => {
      await expect(trees.lease(cut, never)).rejects.toThrow("cut");
      await trees.lease(other, never);
    });
    kit.registry.gate = () => Promise.resolve();
    const again = await kit.start();
    expect(again.figures()).toMatchObject({ partials: 0, trees: 0 });
    for (const request of [other, cut]) {
      using leased = await again.lease(request, never);
      expect(Object.values(await contentOf(leased))[0]).toHaveLength(9 * MiB);
    }
    await again[Symbol.asyncDispose]();
    for (const directory of ["ingest", "trash", "partials"]) expect(await kit.list(directory)).toEqual([]);
  });
});

describe("a start after a power loss", () => {
  it("throws away what was never synced, and pulls it again", async () => {
    const request = requestFor(`r.example/a@${addFiles(repository, { f: "f" })}`);
    await crashAt("tree in place", (trees) => trees.lease(request, never));
    kit.boot = "boot-2";
    const again = await kit.start();
    expect(again.figures()).toMatchObject({ layers: 0, trees: 0 });
    using leased = await again.lease(request, never);
    expect(leased.hit).toBe(false);
  });

  it("keeps what was synced", async () => {
    const request = requestFor(`r.example/a@${addFiles(repository, { f: "f" })}`);
    const first = await kit.start();
    (await first.lease(request, never))[Symbol.dispose]();
    await first.tend();
    expect(kit.synced).toBeGreaterThan(0);
    kit.boot = "boot-2";
    using leased = await (await kit.start()).lease(request, never);
    expect(leased.hit).toBe(true);
  });

  it("keeps what landed while an earlier sync was under way", async () => {
    const requests = ["f", "g"].map((name) =>
      requestFor(`r.example/a@${addFiles(repository, { [name]: name })}`),
    );
    const { promise, resolve } = Promise.withResolvers<void>();
    kit.syncing = promise;
    const first = await kit.start();
    for (const request of requests) {
      (await first.lease(request, never))[Symbol.dispose]();
      await until(() => kit.synced === 1);
      // A landing is told of after its last waiter is.
      await new Promise(setImmediate);
    }
    resolve();
    await until(() => kit.synced === 2);
    await first[Symbol.asyncDispose]();
    kit.boot = "boot-2";
    expect((await kit.start()).figures()).toMatchObject({ layers: 2, trees: 2 });
  });

  it("takes torn records for nothing", async () => {
    const request = requestFor(`r.example/a@${addFiles(repository, { f: "f" })}`);
    const first = await kit.start();
    (await first.lease(request, never))[Symbol.dispose]();
    await first[Symbol.asyncDispose]();
    const [layer = ""] = await kit.list("layers");
    const [tree = ""] = await kit.list("trees");
    for (const at of [path.join("layers", layer, "layer.json"), path.join("trees", tree)]) {
      const whole = await readFile(path.join(kit.root, at));
      for (const torn of ["", "{", "{}", "null", '{"version":9}', whole.subarray(0, 40)]) {
        await writeFile(path.join(kit.root, at), torn);
        const again = await kit.start();
        using leased = await again.lease(request, never);
        expect(leased.hit).toBe(false);
        expect(await contentOf(leased)).toEqual({ f: "f" });
        await again[Symbol.asyncDispose]();
      }
    }
  });

  it("takes what lies about in the store for rubbish", async () => {
    await (await kit.start())[Symbol.asyncDispose]();
    for (const at of ["layers/odd", "ingest/x/fs/deep", "trash/y", "partials/z"]) {
      await mkdir(path.join(kit.root, at), { recursive: true });
    }
    await writeFile(path.join(kit.root, "trees", "odd.json"), "{}");
    await (await kit.start())[Symbol.asyncDispose]();
    for (const directory of ["layers", "ingest", "trash", "partials", "trees"]) {
      expect(await kit.list(directory)).toEqual([]);
    }
  });
});
