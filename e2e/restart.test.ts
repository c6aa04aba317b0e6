import { type ChildProcess, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { lstat, mkdir, mkdtemp, open, readFile, rm, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { execa } from "execa";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { openRegistryDouble, type RegistryDouble } from "../testing/registry-double.ts";
import type { CsiError } from "./client.ts";
import { digestsIn, digestsOf, mountsUnder, namesIn, until } from "./node-state.ts";
import { openPlugin, type Plugin } from "./plugin.ts";
import { refusalInTime } from "./remains.ts";
import { serveFiles, serveImage } from "./served.ts";
import { type PodVolume, podVolume } from "./volume.ts";

const MiB = 2 ** 20;

let registry: RegistryDouble;
let folder: string;
let plugin: Plugin;

async function start(more: Readonly<Record<string, unknown>> = {}): Promise<void> {
  const settings = {
    registries: [{ match: registry.host, plainHttp: true }],
    pull: { rangeBytes: "4Mi", connections: 3 },
    ...more,
  };
  const environment = { NODE_COMPILE_CACHE: path.join(folder, "compile") };
  plugin = await openPlugin({ folder, settings, environment });
}

beforeEach(async () => {
  registry = await openRegistryDouble();
  folder = await mkdtemp(path.join(os.tmpdir(), "larder-restart-"));
  await start();
});

afterEach(async () => {
  for (const { at } of await mountsUnder(folder)) await execa("umount", [at]);
  await plugin.kill();
  await registry[Symbol.asyncDispose]();
  await rm(folder, { recursive: true, force: true });
});

const restart = {
  SIGTERM: async () => {
    expect(await plugin.stop()).toBe(0);
    plugin = await plugin.restart();
  },
  SIGKILL: async () => {
    await plugin.kill();
    plugin = await plugin.restart();
  },
};

/** The same name is the same volume of the same pod, whichever life of the plugin is asked. */
const volume = (name: string, reference: string): Promise<PodVolume> =>
  podVolume(plugin, { attributes: { reference }, id: `csi-${name}`, pod: `pod-${name}` });

const inRoot = (directory: string) => namesIn(path.join(plugin.root, directory));

async function refusal(refused: Promise<unknown>): Promise<CsiError> {
  return await refused.then(
    () => {
      throw new Error("it was not refused");
    },
    (error: unknown) => error as CsiError,
  );
}

/** How many chunks of 4 MiB the map of the one partial tells of: a bit for each, behind its header of 512 bytes. */
async function chunksTold(): Promise<number> {
  const [name = ""] = await inRoot("partials");
  const bits = await readFile(path.join(plugin.root, "partials", name, "map")).catch(() => Buffer.alloc(0));
  return (bits[512] ?? 0).toString(2).replaceAll("0", "").length;
}

describe("a pull that is interrupted", () => {
  const content = randomBytes(20 * MiB);
  const shapes = {
    "a raw file": (registry: RegistryDouble) => serveFiles(registry, "big", { big: content }),
    "a packed layer": (registry: RegistryDouble) => serveImage(registry, "big", [{ big: content }]),
  };

  /** Asks for it until 12 MiB of its 20 are here, and no more come; where each request from `goOn()` on begins. */
  async function interrupt(reference: string) {
    let isSlow = true;
    const start = (range: unknown) => Number(/^bytes=(\d+)-/.exec(String(range))?.[1] ?? 0);
    const asked: number[] = [];
    const matches = ({ path, headers }: { path: string; headers: Readonly<Record<string, unknown>> }) => {
      if (path.includes("/blobs/")) asked.push(start(headers["range"]));
      return isSlow && start(headers["range"]) >= 12 * MiB;
    };
    registry.spoilWhere(matches, { kind: "stall", after: 0 }, Number.POSITIVE_INFINITY);
    const first = await volume("big", reference);
    let words = "";
    while (!words.includes("(12 MiB of 20 MiB)")) {
      const { code, message } = await refusalInTime(first, 500);
      expect(code).toBe("ABORTED");
      words = message;
    }
    // The map is written a moment after the bytes it tells of: a kill in between costs that chunk once more.
    await until(async () => (await chunksTold()) === 3, "the map tells of twelve MiB");
    const goOn = () => {
      isSlow = false;
      asked.length = 0;
    };
    return { asked, goOn };
  }

  it.each(
    (["SIGTERM", "SIGKILL"] as const).flatMap((signal) =>
      (["a raw file", "a packed layer"] as const).map((shape) => ({ signal, shape })),
    ),
  )("by $signal goes on with $shape where it was, and fetches nothing twice", async ({ signal, shape }) => {
    const reference = await shapes[shape](registry);
    const { asked, goOn } = await interrupt(reference);
    goOn();
    await restart[signal]();
    const again = await volume("big", reference);
    await again.publish();
    expect(await digestsIn(again.target)).toEqual(digestsOf({ big: content }));
    // The config of an image, at most, and what was missing.
    expect(asked.filter((at) => at > 0).sort((a, b) => a - b)[0]).toBe(12 * MiB);
    expect(asked.filter((at) => at === 0).length).toBeLessThanOrEqual(shape === "a raw file" ? 0 : 1);
    await until(async () => (await inRoot("trash")).length === 0, "the trash is empty");
    expect([await inRoot("ingest"), await inRoot("partials")]).toEqual([[], []]);
    await again.unpublish();
  });

  it("goes on where it was although room has to be made for the rest, for which another Tree goes", async () => {
    const reference = serveFiles(registry, "big", { big: content });
    const { asked, goOn } = await interrupt(reference);
    await plugin.kill();
    await start({ store: { high: "30Mi", low: "28Mi" } });
    goOn();
    const other = await volume("other", serveFiles(registry, "other", { other: randomBytes(15 * MiB) }));
    await other.publish();
    await other.unpublish();
    expect([await inRoot("trees"), await inRoot("partials")]).toEqual([
      [expect.anything()],
      [expect.anything()],
    ]);
    asked.length = 0;
    const again = await volume("big", reference);
    await again.publish();
    expect(await digestsIn(again.target)).toEqual(digestsOf({ big: content }));
    expect(asked.toSorted((a, b) => a - b)[0]).toBe(12 * MiB);
    expect(await inRoot("trees")).toHaveLength(1);
    await again.unpublish();
  });
});

describe("a stop in good order", () => {
  it("finishes calls or refuses them whole, and pods keep reading", async () => {
    const reference = serveFiles(registry, "warm", { "x.txt": "x" });
    const kept = await volume("kept", reference);
    await kept.publish();
    const reading = await open(path.join(kept.target, "x.txt"));
    const names = Array.from({ length: 20 }, (_, index) => `warm-${index}`);
    const volumes = await Promise.all(names.map((name) => volume(name, reference)));
    const calls = volumes.map(async (each) => {
      try {
        await each.publish();
        return [each.target];
      } catch (error) {
        expect((error as CsiError).code).toBe("UNAVAILABLE");
        return [];
      }
    });
    await Promise.any(calls);
    const status = await plugin.stop();
    const mounted = (await Promise.all(calls)).flat();
    expect(status).toBe(0);
    expect((await mountsUnder(folder)).map(({ at }) => at).sort()).toEqual([kept.target, ...mounted].sort());
    expect((await reading.read(Buffer.alloc(1), 0, 1, 0)).bytesRead).toBe(1);
    expect(await digestsIn(kept.target)).toEqual(digestsOf({ "x.txt": "x" }));
    expect(await namesIn(path.dirname(plugin.socket))).toEqual([]);
    await reading.close();
    plugin = await plugin.restart();
    for (const name of ["kept", ...names]) await (await volume(name, reference)).unpublish();
    expect(await inRoot("records")).toEqual([]);
    expect(await mountsUnder(folder)).toEqual([]);
  });
});

describe("a start", () => {
  it("removes the Record of a pod that is gone, with what is still mounted for it, and keeps the others", async () => {
    const reference = serveFiles(registry, "warm", { "x.txt": "x" });
    const [kept, gone] = [await volume("kept", reference), await volume("gone", reference)];
    await kept.publish();
    await gone.publish();
    await plugin.kill();
    await execa("umount", [gone.target]);
    await rm(path.join(folder, "pods", "pod-gone"), { recursive: true });
    plugin = await plugin.restart();
    expect(await inRoot("records")).toHaveLength(1);
    expect((await mountsUnder(folder)).map(({ at }) => at)).toEqual([kept.target]);
    await (await volume("kept", reference)).unpublish();
  });

  it("lets a pod read on whose Record cannot be read", async () => {
    await plugin.kill();
    const settings = {
      registries: [{ match: registry.host, plainHttp: true }],
      store: { high: "300Ki", low: "100Ki" },
    };
    plugin = await openPlugin({ folder: await mkdtemp(path.join(folder, "small-")), settings });
    const holds = { "held.txt": "h".repeat(200 * 1024) };
    const living = await volume("living", serveFiles(registry, "living", holds));
    await living.publish();
    await plugin.kill();
    for (const name of await inRoot("records"))
      await writeFile(path.join(plugin.root, "records", name), "what another release wrote");
    plugin = await plugin.restart();
    const other = await volume("other", serveFiles(registry, "other", { other: "o".repeat(200 * 1024) }));
    expect((await refusal(other.publish())).code).toBe("RESOURCE_EXHAUSTED");
    expect(await digestsIn(living.target)).toEqual(digestsOf(holds));
  });

  it("refuses a root that another plugin uses, and says who it is", async () => {
    const other = { folder: await mkdtemp(path.join(folder, "other-")) };
    const second = await refusal(openPlugin({ ...other, environment: { LARDER_ROOT: plugin.root } }));
    expect(second.message).toContain("ended with 1");
    expect(second.message).toContain(`Cannot take the lock "${plugin.root}/lock": process ${plugin.pid} `);
    expect(second.message).toContain("LARDER_ROOT");
    expect(await namesIn(path.join(other.folder, "csi"))).toEqual([]);
    const first = await volume("first", serveFiles(registry, "warm", { "x.txt": "x" }));
    await first.publish();
    await first.unpublish();
  });

  it("refuses a socket at which another plugin answers, and leaves it alone", async () => {
    const other = { folder: await mkdtemp(path.join(folder, "other-")) };
    const environment = { CSI_ENDPOINT: `unix://${plugin.socket}` };
    const second = await refusal(openPlugin({ ...other, environment }));
    expect(second.message).toContain("ended with 1");
    expect(second.message).toContain(
      `Cannot listen at "${plugin.socket}": another process answers there; stop it first`,
    );
    await plugin.client.call("Identity", "Probe");
  });

  it.each(["/proc/larder", "/proc/1/larder"])(
    "refuses the root %s, which takes nothing, in words",
    async (root) => {
      const other = {
        folder: await mkdtemp(path.join(folder, "other-")),
        environment: { LARDER_ROOT: root },
      };
      const { message } = await refusal(openPlugin(other));
      expect(message).toContain("ended with 1");
      expect(message).toContain(`Cannot make the directory "${root}": the file system there takes none`);
    },
  );

  it("takes the place of a socket whose plugin died", async () => {
    await plugin.kill();
    const stale = await lstat(plugin.socket);
    expect(stale.isSocket()).toBe(true);
    plugin = await plugin.restart();
    await plugin.client.call("Identity", "Probe");
    expect((await lstat(plugin.socket)).ino).not.toBe(stale.ino);
    expect(await namesIn(path.dirname(plugin.socket))).toEqual([path.basename(plugin.socket)]);
  });

  it("removes what lies half made, and ends the children of the run before", async () => {
    await plugin.kill();
    const orphan: ChildProcess = spawn("sleep", ["1000"], {
      stdio: "ignore",
      env: { ...process.env, LARDER_ATTEMPT: "orphan" },
    });
    const ended = once(orphan, "exit");
    for (const place of [
      "ingest/half/fs/d",
      "trash/half/fs/d",
      "attempts/orphan/work",
      "volumes/nobody/upper",
    ])
      await mkdir(path.join(plugin.root, place), { recursive: true });
    await writeFile(path.join(plugin.root, "ingest", "half", "fs", "d", "file"), "half");
    await execa("chattr", ["+i", path.join(plugin.root, "ingest", "half", "fs", "d", "file")]).catch(
      () => {},
    );
    plugin = await plugin.restart();
    expect(await ended).toEqual([null, "SIGKILL"]);
    expect(plugin.log.some((line) => line.includes('"processes":1'))).toBe(true);
    await until(async () => (await inRoot("trash")).length === 0, "the trash is empty");
    expect([await inRoot("ingest"), await inRoot("attempts"), await inRoot("volumes")]).toEqual([[], [], []]);
  });
});
