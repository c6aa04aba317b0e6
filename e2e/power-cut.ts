// One boot of a node that loses its power, to be run in tools/vm's machine: `before` the cut, and `after` it.
// It tells what it found in one line of JSON; e2e/crash.power.test.ts knows what that must be.
import { mkdir, open, readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import { execa } from "execa";
import { RegistryDouble } from "../testing/registry-double.ts";
import { digestsIn, digestsOf, mountsUnder, namesIn, until } from "./node-state.ts";
import { openPlugin, type Plugin } from "./plugin.ts";
import { serveFiles, serveImage } from "./served.ts";
import { type PodVolume, podVolume } from "./volume.ts";

const disk = process.env["LARDER_VM_XFS"];
if (disk === undefined) throw new Error("this is for tools/vm's machine: LARDER_VM_XFS names no disk");
const folder = path.join(disk, "node");
const fuse = path.join(folder, "fuse");
const kept = { "kept.txt": "kept ".repeat(100_000), "d/kept.txt": "too" };
const lost = { "a/lost.txt": "lost ".repeat(100_000), "lost.txt": "lost" };

// The machine has no network but its own loopback, so that the port is free; another would be another registry.
const registry = await new RegistryDouble().listen(5000);
const references = {
  kept: serveFiles(registry, "kept", kept),
  lost: await serveImage(registry, "lost", [lost, { "upper.txt": "upper" }]),
};
await mkdir(folder, { recursive: true });
const plugin = await openPlugin({
  folder,
  program: process.argv[2] === "before" ? "csi/testing/killed-plugin.ts" : "csi/main.ts",
  settings: { registries: [{ match: registry.host, plainHttp: true }] },
  environment: { LARDER_TEST_FUSE: fuse, NODE_COMPILE_CACHE: path.join(folder, "compile") },
});

const volume = (name: string, reference: string): Promise<PodVolume> =>
  podVolume(plugin, { attributes: { reference }, id: `csi-${name}`, pod: `pod-${name}` });

console.log(JSON.stringify(process.argv[2] === "before" ? await before(plugin) : await after(plugin)));
process.exit(0);

/** Syncs one artifact, and dies just before it would have synced another, all of whose names reach the disk. */
async function before({ root, ended }: Plugin): Promise<object> {
  await (await volume("kept", references.kept)).publish();
  const layers = path.join(root, "layers");
  await until(async () => {
    const names = await namesIn(layers);
    const records = await Promise.all(
      names.map((name) => readFile(path.join(layers, name, "layer.json"), "utf8")),
    );
    return records.length > 0 && records.every((record) => !record.includes('"boot"'));
  }, "the store was synced");
  await execa("sync");
  await (await volume("again", references.kept)).publish();
  await writeFile(fuse, JSON.stringify({ left: 0, only: "^syncFilesystem$" }));
  await (await volume("lost", references.lost)).publish().catch(() => undefined);
  await ended;
  // Any sync of one file takes every name so far to the disk, and the bytes of that file alone.
  await using other = await open(path.join(folder, "other"), "w");
  await other.sync();
  return {
    layers: (await namesIn(layers)).length,
    records: (await namesIn(path.join(root, "records"))).length,
  };
}

async function after({ root, log }: Plugin): Promise<object> {
  const layersFound = (await namesIn(path.join(root, "layers"))).length;
  const records = (await namesIn(path.join(root, "records"))).length;
  const fetched = async (name: "kept" | "lost" | "again", reference: string, holds: object) => {
    registry.asked.length = 0;
    const published = await volume(name, reference);
    await published.publish();
    const isWhole =
      JSON.stringify(await digestsIn(published.target)) ===
      JSON.stringify(digestsOf(holds as Record<string, string>));
    const blobs = registry.asked.filter(({ path }) => path.includes("/blobs/")).length;
    return { isWhole, isFetched: blobs > 0 };
  };
  const found = {
    kept: await fetched("kept", references.kept, { "d/kept.txt": "too", "kept.txt": kept["kept.txt"] }),
    again: await fetched("again", references.kept, { "d/kept.txt": "too", "kept.txt": kept["kept.txt"] }),
    lost: await fetched("lost", references.lost, { ...lost, "upper.txt": "upper" }),
  };
  for (const [name, reference] of [
    ["kept", references.kept],
    ["again", references.kept],
    ["lost", references.lost],
  ] as const)
    await (await volume(name, reference)).unpublish();
  const errors = log.filter((line) => line.includes('"level":"error"'));
  const left = (await mountsUnder(folder)).length + (await namesIn(path.join(root, "records"))).length;
  return { layersFound, records, ...found, errors, left };
}
