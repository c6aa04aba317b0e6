// Bases made over for the groups of pods, on a file system with reflinks and project quotas.
import { mkdtemp, readdir, readFile, stat, writeFile } from "node:fs/promises";
import path from "node:path";
import { execa } from "execa";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { openRegistryDouble, type RegistryDouble } from "../testing/registry-double.ts";
import { unique } from "./artifact.ts";
import { ClaimCalls, insisting, openClaimPlugin } from "./claim-calls.ts";
import type { Plugin } from "./plugin.ts";
import { projectsOn } from "./project-report.ts";
import { df, mountImage } from "./xfs-image.ts";

const MIB = 2 ** 20;
const SIZE = 16 * MIB;

let xfs: string;
let folder: string;
let registry: RegistryDouble;
let plugin: Plugin;

async function start(settings: Readonly<Record<string, unknown>> = {}): Promise<void> {
  plugin = await openClaimPlugin({
    folder,
    settings: { quota: "required", ...settings },
    environment: { NODE_COMPILE_CACHE: path.join(process.env["LARDER_VM_XFS"] ?? "", "compile") },
  });
}

beforeAll(async () => {
  xfs = await mountImage("loop,prjquota");
  folder = await mkdtemp(path.join(xfs, "node-"));
  registry = await openRegistryDouble();
  await start();
});
afterAll(async () => {
  await plugin[Symbol.asyncDispose]();
  await registry[Symbol.asyncDispose]();
  await execa("umount", ["--lazy", xfs]);
});

const node = {
  get plugin() {
    return plugin;
  },
};

/** One that is smaller than its base, which must not count. */
function cached(name: string, group = "", bytes = SIZE / 2): ClaimCalls {
  const repository = `${registry.host}/caches/\${cache}`;
  const parameters = { repository, cache: "m2", when: "always", "max-size": "1Gi" };
  return new ClaimCalls(node, { name, parameters, group, bytes });
}

type Grouped = { readonly project: number; readonly layers: readonly string[] };

/** What a claim's Record says of its project and of its base as its group has it, read behind the plugin's back. */
async function recordOf(claim: ClaimCalls): Promise<Grouped> {
  const text = await readFile(path.join(plugin.root, "claims", claim.id), "utf8");
  const { project, group } = JSON.parse(text) as { project: number; group: { layers: readonly string[] } };
  return { project, layers: group.layers };
}

async function usedBy(claim: ClaimCalls): Promise<number> {
  await execa("sync", ["--file-system", xfs]);
  return (await projectsOn(xfs)).get((await recordOf(claim)).project)?.usedBytes ?? 0;
}

async function freeBytes(): Promise<number> {
  await execa("sync", ["--file-system", xfs]);
  return (await df(xfs)).free;
}

async function runAs(group: string, at: string, script: string): Promise<void> {
  const who = ["--reuid", "1001", "--regid", "1001", "--groups", group, "--inh-caps=-all"];
  await execa("setpriv", [...who, "bash", "-euc", script], { cwd: at });
}

const facts = async (at: string) => {
  const { uid, gid, mode } = await stat(at);
  return [uid, gid, (mode & 0o7777).toString(8)];
};

describe("a base that is made over for a group, where files can share their blocks", () => {
  it("takes no room of the claim, hardly any of the disk, and is one for all claims of the group", async () => {
    const seed = cached("seed", "", 4 * SIZE);
    await seed.runPod(async (at) => {
      await writeFile(path.join(at, "base"), unique(SIZE), { mode: 0o644 });
      await execa(
        "bash",
        ["-euc", "chmod 755 .; mkdir -m 700 private; echo s > private/s; chmod 600 private/s"],
        {
          cwd: at,
        },
      );
    });
    await seed.deleteAtLast();
    const free = await freeBytes();

    const [first, second, other] = [
      cached("first", "2000"),
      cached("second", "2000"),
      cached("other", "3000"),
    ];
    const at = await first.mountAtLast("user");
    expect(await facts(path.join(at, "base"))).toEqual([0, 2000, "664"]);
    await runAs("2000", at, "echo more >> private/s; echo n > made");
    expect(await usedBy(first)).toBeLessThan(MIB);
    expect(free - (await freeBytes())).toBeLessThan(SIZE / 4);

    await second.mountAtLast("user");
    expect((await recordOf(second)).layers).toEqual((await recordOf(first)).layers);
    const inGroup = await other.mountAtLast("user");
    expect(await facts(path.join(inGroup, "base"))).toEqual([0, 3000, "664"]);
    expect((await recordOf(other)).layers).not.toEqual((await recordOf(first)).layers);
    for (const claim of [second, other]) expect(await usedBy(claim)).toBeLessThan(MIB);
    expect(free - (await freeBytes())).toBeLessThan(SIZE / 2);
    for (const claim of [second, other, first]) await claim.unmountAtLast("user");
  });

  it("is nowhere in what is written back: numbers and modes are as they were", async () => {
    for (const name of ["second", "other", "first"]) {
      const claim = cached(name);
      await insisting((options) => claim.create(options));
      await claim.deleteAtLast();
    }
    await cached("next").runPod(async (at) => {
      expect(await facts(at)).toEqual([0, 0, "755"]);
      expect(await facts(path.join(at, "base"))).toEqual([0, 0, "644"]);
      expect(await facts(path.join(at, "private"))).toEqual([0, 0, "700"]);
      expect(await facts(path.join(at, "private/s"))).toEqual([0, 0, "600"]);
      expect(await readFile(path.join(at, "private/s"), "utf8")).toBe("s\nmore\n");
      expect(await facts(path.join(at, "made"))).toEqual([1001, 0, "644"]);
    });
  });

  it("is collected once no claim stands on it", async () => {
    const next = cached("next");
    await insisting((options) => next.create(options));
    await next.deleteAtLast();
    expect((await readdir(path.join(plugin.root, "layers"))).length).toBeGreaterThanOrEqual(4);
    await plugin.stop();
    await start({ store: { high: "1Mi", low: "512Ki" } });
    const isCollected = async () => {
      const layers = await readdir(path.join(plugin.root, "layers"));
      const kinds = layers.map(async (layer) =>
        readFile(path.join(plugin.root, "layers", layer, "layer.json"), "utf8"),
      );
      expect((await Promise.all(kinds)).filter((text) => text.includes('"kind":"grouped"'))).toEqual([]);
    };
    await vi.waitFor(isCollected, { timeout: 1_200_000, interval: 500 });
  });
});
