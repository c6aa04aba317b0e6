import { expect, it } from "vitest";
import { digestOf } from "../core/digest.ts";
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
