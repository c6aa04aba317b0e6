// When the node runs out of something, a volume is refused in words, nothing half stays, and it works again with more.
import { randomUUID } from "node:crypto";
import { mkdir, mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { gzipSync } from "node:zlib";
import { execa } from "execa";
import { describe, expect, it, vi } from "vitest";
import { openRegistryDouble } from "../testing/registry-double.ts";
import { file, tar } from "../testing/tar-bytes.ts";
import { directoryPart, putFiles, putParts, unique } from "./artifact.ts";
import { ClaimCalls } from "./claim-calls.ts";
import type { CsiError } from "./client.ts";
import { contentsOf } from "./contents.ts";
import { Door, sha256, type Told } from "./door.ts";
import { openPlugin, type Plugin } from "./plugin.ts";
import { kept, nothingLeft, refusalOf } from "./remains.ts";
import { podVolume } from "./volume.ts";

type SmallDisk = AsyncDisposable & {
  readonly folder: string;
  readonly environment: Readonly<Record<string, string>>;
};

/** A folder whose `root` is a small file system of its own, of which compiled code takes nothing. */
async function smallDisk(options: string): Promise<SmallDisk> {
  const folder = path.join(os.tmpdir(), `larder-small-${randomUUID()}`);
  const root = path.join(folder, "root");
  await mkdir(root, { recursive: true });
  await execa("mount", ["-t", "tmpfs", "-o", options, "larder", root]);
  return {
    folder,
    environment: { NODE_COMPILE_CACHE: path.join(folder, "compiled") },
    [Symbol.asyncDispose]: async () => {
      // The plugin's end may have taken it down already.
      await execa("umount", ["--lazy", root], { reject: false });
      await rm(folder, { recursive: true, force: true });
    },
  };
}

async function publish(plugin: Plugin, reference: string) {
  const volume = await podVolume(plugin, { attributes: { reference } });
  await volume.publish();
  return volume;
}

/** What helps: the budget's way of saying it, and the kernel's. */
const ROOM = /(raise|lower) store\.high/;

const MOST = 4096;

async function limit(plugin: Plugin, descriptors: number): Promise<void> {
  await execa("prlimit", ["--pid", `${plugin.pid}`, `--nofile=${descriptors}:${MOST}`]);
}

/** So low that this many more can be opened: those that are open need not be the lowest numbers. */
async function limitTo(plugin: Plugin, free: number): Promise<void> {
  const open = new Set((await readdir(`/proc/${plugin.pid}/fd`)).map(Number));
  const isFree = (number: number) => !open.has(number);
  const highest = Array.from({ length: MOST }, (_, number) => number).filter(isFree)[free] ?? MOST;
  await limit(plugin, highest);
}

describe("publish on a disk that is full", () => {
  it("is refused with the sizes, leaves nothing, and works for what fits", async () => {
    await using disk = await smallDisk("size=24m");
    await using registry = await openRegistryDouble();
    await using plugin = await openPlugin({
      ...disk,
      settings: { store: { high: "100%", low: "90%" } },
    });
    const named = (digest: string) => `${registry.host}/a/b@${digest}`;
    // One that says how large it is, and one that shows it only when it is unpacked.
    const large = putFiles(registry, { a: unique(30 * 2 ** 20) });
    const zeros = gzipSync(tar(file("d/zeros", Buffer.alloc(60 * 2 ** 20))));
    const swelling = putParts(registry, [directoryPart("d", zeros)]);
    const door = new Door({ plugin, registry });
    const told: Told = ["RESOURCE_EXHAUSTED", /sha256:[0-9a-f]{64}/, /[0-9] MiB/, ROOM];
    await door.refuses({ attributes: { reference: named(large.digest) } }, told);
    await door.refuses({ attributes: { reference: named(swelling.digest) } }, told, { collects: true });
    const small = unique(2 ** 20);
    const reference = named(putFiles(registry, { a: small }).digest);
    await door.shows({ attributes: { reference } }, { a: sha256(small) });
  });

  it("that another program fills in the middle of a pull is refused too", async () => {
    await using disk = await smallDisk("size=24m");
    await using registry = await openRegistryDouble();
    await using plugin = await openPlugin({
      ...disk,
      settings: { store: { high: "100%", low: "90%" } },
    });
    const content = unique(10 * 2 ** 20);
    const { digest, blobs } = putFiles(registry, { a: content });
    const reference = `${registry.host}/a/b@${digest}`;
    const { release } = registry.hold(({ path: asked }) => asked.includes(blobs[0] ?? "-"));
    const hog = path.join(plugin.root, "somebody-elses");
    const fill = async () => {
      await expect.poll(() => registry.count(blobs[0] ?? "")).toBe(1);
      await execa("dd", ["if=/dev/zero", `of=${hog}`, "bs=1M", "count=16"]);
      release();
    };
    const told: Told = ["RESOURCE_EXHAUSTED", blobs[0] ?? "", ROOM];
    const cured = { by: () => rm(hog), shows: { a: sha256(content) } };
    await new Door({ plugin, registry }).refuses({ attributes: { reference } }, told, {
      during: fill,
      cured,
    });
  });
});

describe("a disk whose room is promised to claims", () => {
  const MiB = 2 ** 20;
  const settings = { store: { high: "100%", low: "90%" } };
  const capacityOf = async (plugin: Plugin) =>
    Number((await plugin.client.call("Controller", "GetCapacity"))["available_capacity"]);

  it("is collected before a claim is refused, and no pull takes of it", async () => {
    await using disk = await smallDisk("size=64m");
    await using registry = await openRegistryDouble();
    await using plugin = await openPlugin({ ...disk, settings });
    const named = () => `${registry.host}/a/b@${putFiles(registry, { a: unique(20 * MiB) }).digest}`;
    const claim = (name: string, bytes: number) => new ClaimCalls({ plugin }, { name, bytes });
    const before = await capacityOf(plugin);
    await (await publish(plugin, named())).unpublish();
    expect((await kept(plugin, "layers")).length).toBe(1);
    // What is there for nobody counts as room.
    expect(before - (await capacityOf(plugin))).toBeLessThan(MiB);
    const large = claim("large", 50 * MiB);
    await large.create();
    expect(await kept(plugin, "layers")).toEqual([]);
    expect(await capacityOf(plugin)).toBeLessThan(14 * MiB);
    expect((await refusalOf(claim("next", 20 * MiB).create())).code).toBe("RESOURCE_EXHAUSTED");
    const reference = named();
    const { code, message } = await refusalOf(publish(plugin, reference));
    expect(code, message).toBe("RESOURCE_EXHAUSTED");
    expect(message).toMatch(/50 MiB that are promised to claims/);
    await nothingLeft(plugin);
    await large.delete();
    await (await publish(plugin, reference)).unpublish();
  });

  it("goes to one of two where a claim grows while another is made", async () => {
    await using disk = await smallDisk("size=64m");
    await using plugin = await openPlugin({ ...disk, settings });
    const first = new ClaimCalls({ plugin }, { name: "first", bytes: 30 * MiB });
    const second = new ClaimCalls({ plugin }, { name: "second", bytes: 30 * MiB });
    await first.create();
    const ends = await Promise.allSettled([first.expand(60 * MiB), second.create()]);
    const refused = ends.flatMap((end) => (end.status === "rejected" ? [(end.reason as CsiError).code] : []));
    expect(refused).toEqual(["RESOURCE_EXHAUSTED"]);
    expect(await capacityOf(plugin)).toBeLessThan(4 * MiB);
  });
});

describe("a claim on a disk without a free block", { timeout: 180_000 }, () => {
  it("goes where its policy lets go; else it is kept, told with sizes, and goes once there is room", async () => {
    await using disk = await smallDisk("size=24m");
    await using registry = await openRegistryDouble();
    await using plugin = await openPlugin(disk);
    const repository = `${registry.host}/caches/\${cache}`;
    const parameters = { repository, cache: "m2", key: "main", when: "always" };
    const claim = (name: string, more: Record<string, string> = {}) =>
      new ClaimCalls({ plugin }, { name, bytes: 2 ** 20, parameters: { ...parameters, ...more } });
    const [owed, free] = [claim("owed"), claim("free", { policy: "discard" })];
    for (const each of [owed, free])
      await each.runPod(async (at) => await writeFile(path.join(at, "file"), unique(20_000)));
    const hog = path.join(plugin.root, "somebody-elses");
    const filled = await execa("dd", ["if=/dev/zero", `of=${hog}`, "bs=4096"], { reject: false });
    expect(filled.stderr).toContain("No space left");
    const { code, message } = await refusalOf(owed.delete());
    expect(code, message).toBe("RESOURCE_EXHAUSTED");
    expect(message).toMatch(/0 B of 24 MiB are free.*All of it is kept/);
    await free.delete();
    expect(await kept(plugin, "claims")).toEqual([owed.id]);
    expect(registry.pushes.tags()).toEqual([]);
    await rm(hog);
    await owed.deleteAtLast();
    expect(registry.pushes.tags()).toContain("main");
    expect(await kept(plugin, "claims")).toEqual([]);
    await nothingLeft(plugin);
  });
});

describe("publish without inodes", () => {
  it("is refused as full, leaves nothing, and works for what fits", async () => {
    await using disk = await smallDisk("size=64m,nr_inodes=300");
    await using registry = await openRegistryDouble();
    await using plugin = await openPlugin(disk);
    const named = (digest: string) => `${registry.host}/a/b@${digest}`;
    const files = Array.from({ length: 500 }, (_, at) => file(`d/f${at}`, `${at}`));
    const many = putParts(registry, [directoryPart("d", gzipSync(tar(...files)))]);
    const told: Told = ["RESOURCE_EXHAUSTED", many.blobs[0] ?? "", ROOM];
    await new Door({ plugin, registry }).refuses({ attributes: { reference: named(many.digest) } }, told);
  });
});

describe("publish without file descriptors", () => {
  it("is refused with a code that is asked again, leaves nothing, and works once there are some", async () => {
    await using registry = await openRegistryDouble();
    await using plugin = await openPlugin();
    const named = (digest: string) => `${registry.host}/a/b@${digest}`;
    // The connection to its socket is there before the descriptors go.
    await plugin.client.call("Identity", "Probe");
    const files = { a: unique(5_000), b: unique(5_000) };
    const { digest } = putFiles(registry, files);
    // Those that are open stay; there is no new one.
    await limit(plugin, 1);
    const told: Told = ["UNAVAILABLE", "no file descriptors left", "raise its limit"];
    const shows = { a: sha256(files.a), b: sha256(files.b) };
    const cured = { by: () => limit(plugin, MOST), shows };
    await new Door({ plugin, registry }).refuses({ attributes: { reference: named(digest) } }, told, {
      cured,
    });
  });

  it("is never an error of its own, wherever they end, and leaves nothing", async () => {
    await using registry = await openRegistryDouble();
    await using stack = new AsyncDisposableStack();
    const folder = await mkdtemp(path.join(os.tmpdir(), "larder-few-"));
    stack.defer(() => rm(folder, { recursive: true, force: true }));
    for (const free of [0, 1, 3, 6, 10, 15, 17]) {
      await using plugin = await openPlugin({ folder });
      await plugin.client.call("Identity", "Probe");
      // Once with its threads still to begin, which takes many, and once with them there.
      for (const threads of ["to begin", "there"]) {
        const archive = gzipSync(tar(file("d/a", unique(1_000))));
        const { digest } = putParts(registry, [directoryPart("d", archive)]);
        const volume = await podVolume(plugin, {
          attributes: { reference: `${registry.host}/a/b@${digest}` },
        });
        await limitTo(plugin, free);
        const end = await volume.publish({ deadlineMs: 2_500 }).then(
          () => ({ code: "OK", message: "" }),
          ({ code, message }: CsiError) => ({ code, message }),
        );
        await limit(plugin, MOST);
        // All of them are asked again, the deadline that passed on a busy machine too.
        const fine = ["OK", "UNAVAILABLE", "RESOURCE_EXHAUSTED", "ABORTED", "DEADLINE_EXCEEDED"];
        const told = [`${free} free, threads ${threads}: ${end.message}`, ...plugin.log].join("\n");
        expect(fine, told).toContain(end.code);
        await vi.waitFor(() => volume.publish(), { timeout: 60_000, interval: 200 });
        expect(Object.keys(await contentsOf(volume.target))).toEqual(["d/a"]);
        await volume.unpublish();
        await nothingLeft(plugin);
      }
    }
  }, 600_000);
});
