import { readdirSync, readFileSync, statSync } from "node:fs";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { cloneForGroup } from "../archive/clone-tree.ts";
import type { Digest } from "../core/digest.ts";
import { isFailure } from "../core/failure.ts";
import { Kit, never, requestFor } from "./testing/kit.ts";
import { addImage, addRepository, type Repository } from "./testing/registry-twin.ts";
import { twinLayer } from "./testing/unpacker-twin.ts";
import type { Trees } from "./trees.ts";

let kit: Kit;
let repository: Repository;
beforeEach(async () => {
  kit = await Kit.open();
  repository = addRepository(kit.registry.addHost("r.example"), "a");
});
afterEach(async () => {
  await kit[Symbol.asyncDispose]();
});

/** The Layers of an image, lowest first, and held as a Record would. */
async function bring(trees: Trees): Promise<readonly Digest[]> {
  const image = addImage(repository, [twinLayer({ files: { a: "1" } }), twinLayer({ files: { b: "2" } })]);
  using tree = await trees.lease(requestFor(`r.example/a@${image}`), never);
  const layers = tree.layerIds.toReversed();
  trees.hold("record", layers);
  return layers;
}

function shownBy(trees: Trees, layers: readonly Digest[]) {
  const contents = trees.contents(layers)?.toReversed() ?? [];
  return contents.flatMap((at) =>
    readdirSync(at).map((name) => {
      const { gid, mode } = statSync(path.join(at, name));
      return [name, readFileSync(path.join(at, name), "utf8"), gid, mode & 0o660] as const;
    }),
  );
}

const made = () => kit.steps.filter((step) => step === "layer in place").length;

describe("GroupedLayers.lease()", () => {
  it("makes each Layer over for the group, in its order, and leaves the others as they are", async () => {
    const trees = await kit.start();
    const layers = await bring(trees);
    using grouped = await trees.groupedLayers.lease(layers, 7);
    expect(shownBy(trees, grouped.layers)).toEqual([
      ["a", "1", 7, 0o660],
      ["b", "2", 7, 0o660],
    ]);
    expect(shownBy(trees, layers).map(([, , gid]) => gid)).toEqual([0, 0]);
    expect(await kit.list("ingest")).toEqual([]);
  });

  it("makes them once, however many ask at once or later, and anew for another group", async () => {
    const trees = await kit.start();
    const layers = await bring(trees);
    const before = made();
    const leases = await Promise.all([1, 2, 3].map(() => trees.groupedLayers.lease(layers, 7)));
    leases.push(await trees.groupedLayers.lease(layers, 7));
    expect(new Set(leases.map((lease) => lease.layers.join())).size).toBe(1);
    expect(made() - before).toBe(2);
    using other = await trees.groupedLayers.lease(layers, 8);
    expect(other.layers).not.toEqual(leases[0]?.layers);
    expect(made() - before).toBe(4);
    for (const lease of leases) lease[Symbol.dispose]();
  });

  it("keeps them from collection while they are leased or held, and no longer", async () => {
    const trees = await kit.start();
    const layers = await bring(trees);
    const grouped = await trees.groupedLayers.lease(layers, 7);
    await trees.collect(Number.MAX_SAFE_INTEGER);
    expect(trees.contents(grouped.layers)).toBeDefined();
    trees.hold("claim", grouped.layers);
    grouped[Symbol.dispose]();
    await trees.collect(Number.MAX_SAFE_INTEGER);
    expect(trees.contents(grouped.layers)).toBeDefined();
    trees.letGo("claim");
    await trees.collect(Number.MAX_SAFE_INTEGER);
    expect(trees.contents(grouped.layers)).toBeUndefined();
    expect(trees.contents(layers)).toBeDefined();
  });

  it("counts what they take as used, and no longer once they are collected", async () => {
    const trees = await kit.start();
    const layers = await bring(trees);
    const before = trees.figures().usedBytes;
    const grouped = await trees.groupedLayers.lease(layers, 7);
    expect(trees.figures().usedBytes).toBeGreaterThan(before);
    grouped[Symbol.dispose]();
    await trees.collect(trees.figures().usedBytes - before);
    expect(trees.figures().usedBytes).toBeLessThanOrEqual(before);
  });

  it("counts blocks that are shared with the original once", async () => {
    kit.overrides = {
      cloneForGroup: async (from, to, gid) => {
        const cloned = await cloneForGroup(from, to, gid);
        return { ...cloned, sharedBytes: cloned.bytes };
      },
    };
    const trees = await kit.start();
    const layers = await bring(trees);
    const before = trees.figures().usedBytes;
    using _grouped = await trees.groupedLayers.lease(layers, 7);
    // The directories alone, which nobody shares.
    expect(trees.figures().usedBytes - before).toBeLessThanOrEqual(2 * 8192);
  });

  it("is unavailable where a Layer is gone, and leaves nothing", async () => {
    const trees = await kit.start();
    const layers = await bring(trees);
    trees.letGo("record");
    await trees.collect(Number.MAX_SAFE_INTEGER);
    await expect(trees.groupedLayers.lease(layers, 7)).rejects.toSatisfy((error) =>
      isFailure(error, "unavailable"),
    );
    expect([...(await kit.list("ingest")), ...(await kit.list("layers"))]).toEqual([]);
  });

  it("tells that the disk is full, leaves nothing, and makes them when there is room", async () => {
    let isFull = true;
    kit.overrides = {
      cloneForGroup: async (from, to, gid) => {
        const cloned = await cloneForGroup(from, to, gid);
        if (isFull) throw Object.assign(new Error("no space"), { code: "ENOSPC" });
        return cloned;
      },
    };
    const trees = await kit.start();
    const layers = await bring(trees);
    await expect(trees.groupedLayers.lease(layers, 7)).rejects.toSatisfy((error) => isFailure(error, "full"));
    expect(await kit.list("ingest")).toEqual([]);
    isFull = false;
    using grouped = await trees.groupedLayers.lease(layers, 7);
    expect(trees.contents(grouped.layers)).toHaveLength(2);
  });

  it.each(["layer filled", "layer recorded", "layer in place", "synced"])(
    "converges after a stop at the step: %s",
    async (step) => {
      const first = await kit.start();
      const layers = await bring(first);
      await kit.close();
      kit.steps.length = 0;
      kit.stopAt = step;
      const stopped = await kit.start({ crashes: true });
      stopped.hold("record", layers);
      void stopped.groupedLayers.lease(layers, 7).catch(() => undefined);
      while (!kit.steps.includes(step)) await new Promise(setImmediate);
      kit.stopAt = undefined;
      const trees = await kit.start();
      expect(await kit.list("ingest")).toEqual([]);
      trees.hold("record", layers);
      using grouped = await trees.groupedLayers.lease(layers, 7);
      expect(shownBy(trees, grouped.layers)).toEqual([
        ["a", "1", 7, 0o660],
        ["b", "2", 7, 0o660],
      ]);
      expect(await kit.list("layers")).toHaveLength(4);
    },
  );

  it("makes them again, under the same names, where a power loss took what was never synced", async () => {
    let letSync: () => void = () => undefined;
    const first = await kit.start({ crashes: true });
    const layers = await bring(first);
    await first.tend();
    kit.syncing = new Promise((resolve) => {
      letSync = resolve;
    });
    const before = await first.groupedLayers.lease(layers, 7);
    kit.boot = "boot-2";
    const trees = await kit.start();
    trees.hold("record", layers);
    expect(trees.contents(layers)).toBeDefined();
    expect(trees.contents(before.layers)).toBeUndefined();
    letSync();
    using again = await trees.groupedLayers.lease(layers, 7);
    expect(again.layers).toEqual(before.layers);
    expect(trees.contents(again.layers)).toHaveLength(2);
  });
});
