import { randomBytes } from "node:crypto";
import { mkdir, readFile, rm } from "node:fs/promises";
import path from "node:path";
import { execa } from "execa";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { RegistryDouble } from "../testing/registry-double.ts";
import { KilledNode } from "./killed-node.ts";
import { digestsIn, digestsOf, namesIn, until } from "./node-state.ts";
import { refusalInTime } from "./remains.ts";
import { type Contents, serveFiles, serveImage } from "./served.ts";
import type { PodVolume } from "./volume.ts";

const MiB = 2 ** 20;

type Shape = {
  readonly name: string;
  readonly attributes: Readonly<Record<string, string>>;
  readonly serve: (registry: RegistryDouble, tag: string) => Promise<{ reference: string; holds: Contents }>;
  /** Which effects kill; by default all. */
  readonly effects?: string;
  /** How many of them there are at least. */
  readonly kills: number;
};

const image: Shape["serve"] = async (registry, tag) => {
  const [lower, upper] = [{ "a/lower.txt": tag, "shared.txt": "lower" }, { "shared.txt": tag }];
  return { reference: await serveImage(registry, tag, [lower, upper]), holds: { ...lower, ...upper } };
};

const shapes: readonly Shape[] = [
  {
    name: "bind",
    attributes: {},
    serve: async (registry, tag) => {
      const holds = { "x.txt": tag, "d/y.txt": `${tag} too` };
      return { reference: serveFiles(registry, tag, holds), holds };
    },
    kills: 12,
  },
  // Its layers come as those of the next one do: what is left are the Record, the directory and the mount.
  {
    name: "overlay",
    attributes: {},
    serve: image,
    effects: "writeAtomically|makeDirectory|overlay",
    kills: 5,
  },
  { name: "copy", attributes: { layout: "copy" }, serve: image, kills: 20 },
];

let node: KilledNode;
afterEach(async () => await node[Symbol.asyncDispose]());

describe("a kill at every effect", { timeout: 1_200_000 }, () => {
  beforeEach(async () => {
    node = await KilledNode.open();
  });

  it.each(shapes)("of a cold publish ($name) leaves what the same call finishes", async (shape) => {
    for (let left = 0, through = false; !through; left++) {
      const name = `${left}`;
      const { reference, holds } = await shape.serve(node.registry, name);
      const attributes = { reference, ...shape.attributes };
      const first = await node.volume(name, attributes);
      through = await node.survives(left, shape.effects, () => first.publish());
      const again = await node.volume(name, attributes);
      await again.publish();
      await node.expectVolumes(again);
      expect(await digestsIn(again.target)).toEqual(digestsOf(holds));
      await node.settled();
      await again.unpublish();
      await node.expectVolumes();
    }
    expect(node.kills).toBeGreaterThanOrEqual(shape.kills);
  });

  it.each(shapes)("of an unpublish ($name) leaves what the same call finishes", async (shape) => {
    const { reference, holds } = await shape.serve(node.registry, "warm");
    const attributes = { reference, ...shape.attributes };
    for (let left = 0, through = false; !through; left++) {
      const first = await node.volume("warm", attributes);
      await first.publish();
      expect(await digestsIn(first.target)).toEqual(digestsOf(holds));
      await node.settled();
      through = await node.survives(left, undefined, () => first.unpublish());
      await (await node.volume("warm", attributes)).unpublish();
      await node.expectVolumes();
    }
    expect(node.kills).toBeGreaterThanOrEqual(3);
  });
});

describe("a kill at every effect of a start", { timeout: 1_200_000 }, () => {
  it("leaves what the next start puts right", async () => {
    node = await KilledNode.open();
    const reference = serveFiles(node.registry, "gone", { "x.txt": "x" });
    for (let left = 0, through = false; !through; left++) {
      const gone = await node.volume("gone", { reference });
      await gone.publish();
      await node.plugin.kill();
      await execa("umount", [gone.target]);
      await rm(path.join(node.folder, "pods", "pod-gone"), { recursive: true });
      for (const place of ["ingest/half/fs", "trash/half/fs", "volumes/nobody/upper"])
        await mkdir(path.join(node.plugin.root, place), { recursive: true });
      // Of the directories that are made where they are missing, none is.
      through = await node.survivesStart(left, "^(?!makeDirectory)");
      await node.expectVolumes();
      await node.settled();
      expect(await namesIn(path.join(node.plugin.root, "volumes"))).toEqual([]);
    }
    expect(node.kills).toBeGreaterThanOrEqual(4);
  });
});

describe("a kill at every step of a collection", { timeout: 1_200_000 }, () => {
  it("leaves whole Trees, and what a pod has stays", async () => {
    node = await KilledNode.open({ store: { high: "300Ki", low: "250Ki" } });
    const serve = (name: string, kibibytes: number) => {
      const holds = { [name]: name.padEnd(kibibytes * 1024, name) };
      return { holds, attributes: { reference: serveFiles(node.registry, name, holds) } };
    };
    for (let left = 0, through = false; !through; left++) {
      // Two that nobody uses any more, and a third for which both must go.
      for (const name of [`a${left}`, `b${left}`]) {
        const volume = await node.volume(name, serve(name, 60).attributes);
        await volume.publish();
        await volume.unpublish();
      }
      await node.settled();
      const name = `c${left}`;
      const { holds, attributes } = serve(name, 200);
      const first = await node.volume(name, attributes);
      through = await node.survives(left, "removed$|removeFile|rename", () => first.publish());
      const again = await node.volume(name, attributes);
      await again.publish();
      expect(await digestsIn(again.target)).toEqual(digestsOf(holds));
      await node.expectVolumes(again);
      await node.settled();
      await again.unpublish();
    }
    expect(node.kills).toBeGreaterThanOrEqual(8);
  });

  it("leaves nothing of a partial that it has just removed, and what it was of comes whole", async () => {
    node = await KilledNode.open({ store: { high: "12Mi", low: "12Mi" }, pull: { rangeBytes: "4Mi" } });
    const files = (name: string) => ({ [name]: randomBytes(9 * MiB) });
    const [cut, wanted] = [files("cut"), files("wanted")];
    const attributes = { reference: serveFiles(node.registry, "cut", cut) };
    await rest(await node.volume("cut", attributes));
    // Its Record may have been written when bytes arrived.
    await (await node.volume("cut", attributes)).unpublish();
    const volume = async () =>
      await node.volume("wanted", { reference: serveFiles(node.registry, "wanted", wanted) });
    const first = await volume();
    expect(await node.survives(0, "^partial removed$", () => first.publish())).toBe(false);
    const again = await volume();
    await again.publish();
    expect(await digestsIn(again.target)).toEqual(digestsOf(wanted));
    await node.expectVolumes(again);
    await node.settled();
    await again.unpublish();
    const whole = await node.volume("cut", attributes);
    await whole.publish();
    expect(await digestsIn(whole.target)).toEqual(digestsOf(cut));
    await whole.unpublish();
    await node.settled();
  });

  /** Its first 4 MiB are here, and nobody fetches the others. */
  async function rest(volume: PodVolume): Promise<void> {
    const isLater = (range: unknown) => /^bytes=(\d+)-/.exec(String(range))?.[1] !== "0";
    const stall = { kind: "stall", after: 0 } as const;
    node.registry.spoilWhere(
      ({ path, headers }) => path.includes("/blobs/") && isLater(headers["range"]),
      stall,
      Number.POSITIVE_INFINITY,
    );
    const partials = path.join(node.plugin.root, "partials");
    const isTold = async () => {
      const [name = ""] = await namesIn(partials);
      const map = await readFile(path.join(partials, name, "map")).catch(() => Buffer.alloc(0));
      return map[512] === 1;
    };
    const publishing = refusalInTime(volume, 60_000);
    await until(isTold, "the map tells of four MiB");
    await node.plugin.kill();
    await publishing;
    node.registry.mend();
    await node.start();
  }
});
