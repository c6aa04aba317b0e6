// Claims under limits that a kernel enforces: on a root with project quotas, and in a pool.
import { closeSync, fsyncSync, openSync, writeFileSync, writeSync } from "node:fs";
import { mkdir, mkdtemp, open, readdir, readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import { execa } from "execa";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { openRegistryDouble, type RegistryDouble } from "../testing/registry-double.ts";
import { runSanity, unmetIn } from "../testing/sanity.ts";
import { tool } from "../testing/tool.ts";
import { putFiles, unique } from "./artifact.ts";
import { ClaimCalls, type ClaimRequest, insisting, openClaimPlugin } from "./claim-calls.ts";
import type { Reply } from "./client.ts";
import { tellLimit } from "./demo-claims.ts";
import { KilledNode } from "./killed-node.ts";
import { digestsIn, namesIn } from "./node-state.ts";
import type { Plugin } from "./plugin.ts";
import { limitProject, projectsOn } from "./project-report.ts";
import { refusalOf } from "./remains.ts";
import { podVolume } from "./volume.ts";
import { df, mountImage } from "./xfs-image.ts";

const MIB = 2 ** 20;
const FIRST_PROJECT = 0x20000000;
const machine = process.env["LARDER_VM_XFS"] ?? "";

async function openNode(folder: string, settings: Readonly<Record<string, unknown>>): Promise<Plugin> {
  return await openClaimPlugin({
    folder,
    settings: { quota: "required", ...settings },
    environment: { NODE_COMPILE_CACHE: path.join(machine, "compile") },
  });
}

/** Bytes that could be written to the file, to its end on the disk. */
function fill(file: string): number {
  const fd = openSync(file, "a");
  const chunk = Buffer.alloc(MIB / 4, 1);
  try {
    for (let written = 0; ; ) {
      try {
        written += writeSync(fd, chunk);
        fsyncSync(fd);
      } catch (error) {
        expect((error as NodeJS.ErrnoException).code).toMatch(/ENOSPC|EDQUOT/);
        return written;
      }
    }
  } finally {
    closeSync(fd);
  }
}

/** What a Record says, read behind the plugin's back. */
async function projectOf(store: string, claim: ClaimCalls): Promise<number> {
  const text = await readFile(path.join(store, "claims", claim.id), "utf8");
  return (JSON.parse(text) as { project: number }).project;
}

/** Waits for what goes on behind the answers. */
async function nothingIn(store: string, folders: readonly string[]): Promise<void> {
  for (const folder of folders) {
    const isEmpty = async () => expect(await namesIn(path.join(store, folder)), folder).toEqual([]);
    await vi.waitFor(isEmpty, { timeout: 120_000, interval: 200 });
  }
}

async function passesSanity(plugin: Plugin): Promise<void> {
  const directory = path.join(plugin.folder, "sanity");
  await mkdir(directory);
  const { socket } = plugin;
  const specs = await runSanity({ socket, directory, sizeBytes: 64 * MIB, mutable: { policy: "pull" } });
  expect(unmetIn(specs)).toEqual([]);
  expect(specs.filter(({ state }) => state === "passed").length).toBeGreaterThanOrEqual(51);
}

describe("a root on XFS with project quotas", () => {
  let xfs: string;
  let registry: RegistryDouble;
  let plugin: Plugin;
  const node = {
    get plugin() {
      return plugin;
    },
  };
  const make = (request: ClaimRequest) => new ClaimCalls(node, request);
  const cached = (name: string, more: Partial<ClaimRequest> = {}) => {
    const repository = `${registry.host}/caches/\${cache}`;
    const parameters = { repository, cache: "m2", when: "always", ...more.parameters };
    return make({ name, ...more, parameters });
  };
  const mounted = async (claim: ClaimCalls): Promise<string> => await claim.mountAtLast("user");
  const gone = async (claim: ClaimCalls): Promise<void> => {
    await claim.unmountAtLast("user");
    await claim.deleteAtLast();
  };
  const stats = async (claim: ClaimCalls, at: string): Promise<readonly Reply[]> => {
    const request = { volume_id: claim.id, volume_path: at };
    return (await plugin.client.call("Node", "NodeGetVolumeStats", request))["usage"] as Reply[];
  };
  const size = 8 * MIB;

  beforeAll(async () => {
    registry = await openRegistryDouble();
    xfs = await mountImage("loop,prjquota");
    plugin = await openNode(await mkdtemp(path.join(xfs, "node-")), {});
    // What the tests of copies start from.
    await cached("seed", { bytes: 32 * MIB }).runPod(
      async (at) => await writeFile(path.join(at, "base"), unique(size)),
    );
  });
  afterAll(async () => {
    await plugin[Symbol.asyncDispose]();
    await registry[Symbol.asyncDispose]();
    await execa("umount", ["--lazy", xfs]);
  });

  it("a commit keeps the project and lifts its limit, and no other claim gets that project", async () => {
    const seed = cached("seed", { bytes: 32 * MIB });
    await seed.create();
    const project = await projectOf(plugin.root, seed);
    expect((await projectsOn(xfs)).get(project)?.limitBytes).toBe(32 * MIB);
    const isSending = ({ method }: { readonly method: string }) => !["GET", "HEAD"].includes(method);
    const held = registry.hold(isSending);
    const caller = new AbortController();
    const refused = refusalOf(seed.delete({ deadlineMs: 600_000, signal: caller.signal }));
    try {
      await vi.waitUntil(() => registry.asked.some(isSending), { timeout: 600_000, interval: 100 });
      caller.abort();
      expect((await refused).code).toBe("CANCELLED");
      const { usedBytes, limitBytes } = (await projectsOn(xfs)).get(project) ?? {};
      expect(limitBytes).toBe(0);
      expect(usedBytes).toBeGreaterThanOrEqual(size);
    } finally {
      held.release();
    }
    await seed.deleteAtLast();
    expect(registry.pushes.tags()).toContain("latest");
    expect((await projectsOn(xfs)).get(project)?.usedBytes).toBeGreaterThanOrEqual(size);
    const next = make({ name: "next" });
    await next.create();
    expect(await projectOf(plugin.root, next)).not.toBe(project);
    await next.deleteAtLast();
  });

  it("what pods write ends at the claim's bytes, as df and GetVolumeStats have it, until it is expanded under them", async () => {
    const claim = make({ name: "bytes", bytes: 16 * MIB });
    const at = await mounted(claim);
    expect((await df(at)).bytes).toBe(16 * MIB);
    const written = fill(path.join(at, "file"));
    expect(written).toBeLessThanOrEqual(16 * MIB);
    expect(written).toBeGreaterThan(14 * MIB);
    const [bytes] = await stats(claim, at);
    expect(bytes).toMatchObject({ unit: "BYTES", total: String(16 * MIB) });
    expect(Number(bytes?.["available"])).toBe((await df(at)).free);
    await claim.expand(32 * MIB);
    expect((await df(at)).bytes).toBe(32 * MIB);
    expect(written + fill(path.join(at, "file"))).toBeGreaterThan(30 * MIB);
    await gone(claim);
  });

  it("the demo tells of the limit as df has it, and of the write that hits it", async () => {
    const claim = make({ name: "demo", bytes: 64 * MIB });
    const target = await mounted(claim);
    let said = "";
    const spy = vi.spyOn(console, "log").mockImplementation((text: string) => void (said += `${text}\n`));
    try {
      await tellLimit(plugin, { target });
    } finally {
      spy.mockRestore();
    }
    expect(said).toMatch(/^ {4}df: 64M +\S+ +64M +\d+% \(size, used, free, use\)$/m);
    expect(said).toMatch(/^ {4}a write beyond the limit: (ENOSPC|EDQUOT) after 6\d\.\d MB more$/m);
    expect(await readdir(target)).toEqual([]);
    await gone(claim);
  });

  it("what pods make ends at the claim's inodes, as df and GetVolumeStats have it", async () => {
    const claim = make({ name: "inodes", parameters: { inodes: "64" } });
    const at = await mounted(claim);
    expect((await df(at)).files).toBe(64);
    let made = 0;
    const make64 = () => {
      for (; made < 65; made++) writeFileSync(path.join(at, `f${made}`), "");
    };
    expect(make64).toThrow(expect.objectContaining({ code: expect.stringMatching(/ENOSPC|EDQUOT/) }));
    // The rest are the claim's own directories.
    expect(made).toBeGreaterThan(55);
    const inodes = (await stats(claim, at)).find(({ unit }) => unit === "INODES");
    expect(inodes).toMatchObject({ total: "64", used: String(64 - (await df(at)).filesFree) });
    await gone(claim);
  });

  it("a copy is reflinked and charged in full, and a base that does not fit is refused with both sizes", async () => {
    const { free } = await df(xfs);
    const copy = cached("copy", { bytes: 16 * MIB, parameters: { layout: "copy", policy: "pull" } });
    const at = await mounted(copy);
    expect(await readdir(at)).toEqual(["base"]);
    expect((await projectsOn(xfs)).get(await projectOf(plugin.root, copy))?.usedBytes).toBeGreaterThanOrEqual(
      size,
    );
    expect(free - (await df(xfs)).free).toBeLessThan(size / 2);
    expect(fill(path.join(at, "more"))).toBeLessThanOrEqual(16 * MIB - size);
    const tight = { layout: "copy", policy: "pull", "max-size": "1Gi" };
    const small = cached("small", { bytes: 4 * MIB, parameters: tight });
    await small.create();
    const refusal = await refusalOf(small.stage());
    expect(refusal.message).toMatch(/starts from 8(\.\d+)? MiB, and holds at most 4 MiB/);
    await small.deleteAtLast();
    const overlay = cached("overlay", { bytes: 4 * MIB, parameters: { policy: "pull", "max-size": "1Gi" } });
    expect(Object.keys(await digestsIn(await mounted(overlay)))).toEqual(["base"]);
    for (const claim of [copy, overlay]) await gone(claim);
  });

  it.each(["overlay", "copy"])("a writable inline volume ends at its size (%s)", async (layout) => {
    const { digest } = putFiles(registry, { base: unique(MIB) });
    const reference = `${registry.host}/a/b@${digest}`;
    const attributes = { reference, writable: "true", size: "16Mi", layout };
    const volume = await podVolume(plugin, { attributes, writable: true });
    await volume.publish();
    expect(await df(volume.target)).toMatchObject({ bytes: 16 * MIB, files: (16 * MIB) / 4096 });
    const written = fill(path.join(volume.target, "file"));
    expect(written).toBeLessThanOrEqual(layout === "copy" ? 15 * MIB : 16 * MIB);
    expect(written).toBeGreaterThan(12 * MIB);
    await volume.unpublish();
    await nothingIn(plugin.root, ["records", "trash"]);
  });

  it("GetVolumeStats counts what left its project too, and the log tells of it", async () => {
    const claim = make({ name: "escapes", bytes: 16 * MIB });
    const at = await mounted(claim);
    await writeFile(path.join(at, "file"), unique(4 * MIB), { flush: true });
    await execa("xfs_io", ["-c", "chproj 0", path.join(plugin.root, "volumes", claim.id, "upper", "file")]);
    const isCounted = async () => {
      const [bytes] = await stats(claim, at);
      expect(Number(bytes?.["used"])).toBeGreaterThanOrEqual(4 * MIB);
      // The kernel lets pods write as much as before.
      expect(Number(bytes?.["available"])).toBeGreaterThan(15 * MIB);
    };
    await vi.waitFor(isCounted, { timeout: 120_000, interval: 200 });
    expect(plugin.log.join("\n")).toContain("A pod took files out of the limit of its volume");
    await gone(claim);
  });

  it("a project is given again only once nothing is charged to it", async () => {
    const first = make({ name: "first" });
    await first.runPod(async (at) => await writeFile(path.join(at, "held"), unique(MIB), { flush: true }));
    const project = await projectOf(plugin.root, first);
    // Through the disk itself: as what was removed and is still open somewhere.
    const file = await open(path.join(plugin.root, "volumes", first.id, "upper", "held"));
    try {
      await first.deleteAtLast();
      await nothingIn(plugin.root, ["trash"]);
      const second = make({ name: "second" });
      await second.create();
      expect(await projectOf(plugin.root, second)).not.toBe(project);
      await second.deleteAtLast();
    } finally {
      await file.close();
    }
    const isFree = async () => ((await projectsOn(xfs)).get(project)?.usedBytes ?? 0) === 0;
    await vi.waitUntil(isFree, { timeout: 120_000, interval: 200 });
    const third = make({ name: "third" });
    await vi.waitFor(
      async () => {
        await third.create();
        const given = await projectOf(plugin.root, third);
        await third.deleteAtLast();
        expect(given).toBeLessThanOrEqual(project);
      },
      { timeout: 120_000, interval: 500 },
    );
  });

  it("a start lifts limits of its own that no Record has, and leaves those of claims and of others", async () => {
    const claim = make({ name: "stays", bytes: 16 * MIB });
    await claim.create();
    const project = await projectOf(plugin.root, claim);
    await plugin.stop();
    const [stray, foreign] = [FIRST_PROJECT + 5000, 4711];
    for (const each of [stray, foreign]) await limitProject(xfs, each, MIB);
    plugin = await plugin.restart();
    const limits = await projectsOn(xfs);
    expect([stray, foreign, project].map((each) => limits.get(each)?.limitBytes ?? 0)).toEqual([
      0,
      MIB,
      16 * MIB,
    ]);
    await claim.deleteAtLast();
  });

  it("csi-sanity passes whole, with limits behind it", async () => {
    await passesSanity(plugin);
    await nothingIn(plugin.root, ["claims", "volumes", "ingest", "partials", "trash", "attempts"]);
    const isLifted = async () =>
      [...(await projectsOn(xfs))].every(([id, { limitBytes }]) => id < FIRST_PROJECT || limitBytes === 0);
    expect(await isLifted()).toBe(true);
  });
});

describe("a kill between a claim's Record and its limit", () => {
  it("of create, stage, expand and delete leaves what the same call finishes; the limit is right and none is left", async () => {
    const xfs = await mountImage("loop,prjquota");
    try {
      await using node = await KilledNode.open({ quota: "required", oras: await tool("oras") }, xfs);
      const repository = `${node.registry.host}/caches/\${cache}`;
      const parameters = { repository, cache: "m2", when: "always" };
      const claim = new ClaimCalls(node, { name: "killed", bytes: 16 * MIB, parameters });
      const limits = async () =>
        [...(await projectsOn(xfs))]
          .filter(([id, { limitBytes }]) => id >= FIRST_PROJECT && limitBytes > 0)
          .map(([, { limitBytes }]) => limitBytes);
      const kill = async (effect: string, phase: () => Promise<void>) => {
        expect(await node.survives(0, `^${effect}$`, phase), effect).toBe(false);
      };

      await kill("setLimits", async () => void (await claim.create()));
      await insisting((options) => claim.create(options));
      expect(await limits()).toEqual([16 * MIB]);
      const project = await projectOf(node.plugin.root, claim);
      await kill("overlay", () => insisting((options) => claim.stage(options)));
      await insisting((options) => claim.stage(options));
      expect(await limits()).toEqual([16 * MIB]);
      const at = await insisting((options) => claim.publish({ pod: "user", options }));
      await writeFile(path.join(at, "file"), unique(MIB), { flush: true });

      await kill("setLimits", async () => void (await claim.expand(32 * MIB)));
      // Its Record said so already.
      expect([await limits(), (await df(at)).bytes]).toEqual([[32 * MIB], 32 * MIB]);
      await claim.expand(32 * MIB);
      expect(await limits()).toEqual([32 * MIB]);

      await claim.unmountAtLast("user");
      await kill("clearLimits", () => claim.deleteAtLast());
      await claim.deleteAtLast();
      expect(node.registry.pushes.tags()).toContain("latest");
      await node.settled();
      for (const folder of ["claims", "volumes"])
        expect(await namesIn(path.join(node.plugin.root, folder)), folder).toEqual([]);
      expect(await limits()).toEqual([]);
      // What it became is charged where it was, and is in nobody's way.
      expect((await projectsOn(xfs)).get(project)?.usedBytes).toBeGreaterThanOrEqual(MIB);
      expect(node.kills).toBe(4);
    } finally {
      await execa("umount", ["--lazy", xfs]);
    }
  });
});

describe("a chain that is flattened", () => {
  it("shares the blocks of what it is made of, which no limit counts", async () => {
    const xfs = await mountImage("loop,prjquota");
    const registry = await openRegistryDouble();
    const plugin = await openNode(await mkdtemp(path.join(xfs, "node-")), { chain: { max: 1 } });
    try {
      const cached = (name: string, bytes: number) => {
        const repository = `${registry.host}/caches/\${cache}`;
        const parameters = { repository, cache: "m2", when: "always", "max-size": "1Gi" };
        return new ClaimCalls({ plugin }, { name, bytes, parameters });
      };
      const first = cached("first", 32 * MIB);
      await first.runPod((at) => writeFile(path.join(at, "base"), unique(8 * MIB), { flush: true }));
      await first.deleteAtLast();
      await nothingIn(plugin.root, ["volumes", "trash"]);
      const { free } = await df(xfs);
      const second = cached("second", 4 * MIB);
      await second.runPod((at) => writeFile(path.join(at, "own"), "own"));
      await second.deleteAtLast();
      expect(registry.pushes.layersOf("latest")).toHaveLength(1);
      await nothingIn(plugin.root, ["volumes", "trash"]);
      const isShared = async () => expect(free - (await df(xfs)).free).toBeLessThan(4 * MIB);
      await vi.waitFor(isShared, { timeout: 120_000, interval: 200 });
      const third = cached("third", 4 * MIB);
      const at = await third.mountAtLast("user");
      expect(Object.keys(await digestsIn(at)).sort()).toEqual(["base", "own"]);
      const charged = (await projectsOn(xfs)).get(await projectOf(plugin.root, third));
      expect(charged?.limitBytes).toBe(4 * MIB);
      expect(charged?.usedBytes).toBeLessThan(MIB);
      await third.unmountAtLast("user");
      await third.deleteAtLast();
    } finally {
      await plugin[Symbol.asyncDispose]();
      await registry[Symbol.asyncDispose]();
      await execa("umount", ["--lazy", xfs]);
    }
  });
});

describe("a pool on a root without quotas", () => {
  let plain: string;
  let plugin: Plugin;
  const pool = () => path.join(plugin.root, "pool");

  beforeAll(async () => {
    plain = await mountImage("loop");
    const node = path.join(plain, "node");
    await mkdir(node);
    plugin = await openNode(node, { pool: { size: "600Mi", floor: "64Mi" } });
  });
  afterAll(async () => {
    await plugin.stop();
    for (const at of [pool(), plain]) await execa("umount", ["--lazy", at]);
  });

  it("claims in it have their limits, over a restart of the plugin, which leaves it mounted", async () => {
    const claim = new ClaimCalls({ plugin }, { name: "pooled", bytes: 16 * MIB });
    await claim.create();
    await claim.stage();
    const at = await claim.publish({ pod: "user" });
    expect((await df(at)).bytes).toBe(16 * MIB);
    expect(fill(path.join(at, "file"))).toBeGreaterThan(14 * MIB);
    const before = await digestsIn(at);
    expect(await plugin.stop()).toBe(0);
    expect(await digestsIn(at)).toEqual(before);
    expect(await projectsOn(pool())).not.toEqual(new Map());
    plugin = await plugin.restart();
    const { stdout } = await execa("findmnt", ["-rno", "SOURCE", "--mountpoint", pool()]);
    expect(stdout.split("\n")).toHaveLength(1);
    const same = new ClaimCalls({ plugin }, { name: "pooled", bytes: 16 * MIB });
    await same.create();
    expect(same.id).toBe(claim.id);
    await same.unpublish("user");
    await same.unstage();
    await same.deleteAtLast();
    await nothingIn(pool(), ["claims", "volumes", "trash"]);
  });

  it("csi-sanity passes whole, in the pool", async () => {
    await passesSanity(plugin);
    await nothingIn(pool(), ["claims", "volumes", "layers", "trash"]);
  });
});
