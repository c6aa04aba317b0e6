import { describe, expect, it } from "vitest";
import { digestOf } from "../core/digest.ts";
import { Failure } from "../core/failure.ts";
import { MemoryFiles } from "../host/files.fake.ts";
import { Inventory } from "./inventory.ts";
import { parseLayer } from "./layer.ts";
import { LayerStore } from "./layer-store.ts";
import { Layout } from "./layout.ts";

it("LayerStore.weigh() of what a claim wrote survives a power loss, as its adoption does", async () => {
  const files = new MemoryFiles();
  const layout = new Layout("/store");
  const discard = () => Promise.reject(new Error("nothing is to go"));
  const onStep = () => Promise.resolve();
  const store = new LayerStore({ files, layout, inventory: new Inventory(), discard, onStep });
  const id = digestOf("a claim's");
  for (const directory of [layout.layers, "/store/leaving"]) await files.makeDirectory(directory);
  for (const directory of ["/", "/store"]) await files.syncDirectory(directory);
  const layer = { id, kind: "claim", blobs: [], files: [], shared: [], sources: [], inodes: 1 } as const;
  await store.adopt("/store/leaving", { ...layer, ownBytes: 100 });
  await store.weigh(id, { ownBytes: 50, inodes: 1 });
  files.losePower();
  const text = Buffer.from(await files.read(layout.layerRecord(id))).toString();
  expect(parseLayer(text, id)).toEqual({ ...layer, ownBytes: 50 });
});

describe("LayerStore.sync()", () => {
  it.each([
    ["the disk cannot be synced", "syncFilesystem", 1, 0],
    ["the second of three records cannot be amended", "writeAtomically", 2, 1],
  ] as const)("forgets none where %s: the next pass has the rest", async (_, method, fails, done) => {
    const files = new MemoryFiles();
    const layout = new Layout("/store");
    const inventory = new Inventory();
    const discard = () => Promise.reject(new Error("nothing is to go"));
    const store = new LayerStore({ files, layout, inventory, discard, onStep: () => Promise.resolve() });
    const ids = ["a", "b", "c", "gone"].map((name) => digestOf(name));
    for (const id of ids) {
      await files.makeDirectory(layout.layer(id));
      const made = { id, kind: "image", blobs: [], files: [], shared: [], sources: [], inodes: 1 } as const;
      inventory.putLayer({ ...made, ownBytes: 1, boot: files.bootId() });
      store.expectSync(id);
    }
    const isUnsynced = (id: (typeof ids)[number]) => inventory.layers.get(id)?.boot !== undefined;
    const real = files[method].bind(files) as (...args: unknown[]) => Promise<void>;
    let calls = 0;
    Object.assign(files, {
      [method]: async (...args: unknown[]) => {
        // Whoever takes a Layer away does so at any time.
        if (calls === 0) inventory.dropLayer(digestOf("gone"));
        if (++calls === fails) throw new Failure("full", "Cannot write: the disk is full");
        await real(...args);
      },
    });
    await expect(store.sync()).rejects.toThrow("the disk is full");
    expect(ids.filter((id) => isUnsynced(id))).toHaveLength(3 - done);
    await store.sync();
    expect(ids.filter((id) => isUnsynced(id))).toEqual([]);
    const before = calls;
    await store.sync();
    expect(calls).toBe(before);
  });
});
