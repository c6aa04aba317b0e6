// A node whose clock jumps by years between calls, forward and back: what was told, promised and proven holds as it should.
import { mkdtemp, readdir, rename, rm, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { basic } from "../testing/guard.ts";
import { openRegistryDouble, type RegistryDouble } from "../testing/registry-double.ts";
import { putFiles, unique } from "./artifact.ts";
import { ClaimCalls, openClaimPlugin } from "./claim-calls.ts";
import { contentsOf } from "./contents.ts";
import { metric } from "./metrics.ts";
import { mountsAt } from "./mounts.ts";
import type { Plugin } from "./plugin.ts";
import { nothingLeft, refusalInTime, refusalOf } from "./remains.ts";
import { podVolume, pullSecret } from "./volume.ts";

const HOUR = 3_600_000;
const YEARS = 10 * 365 * 86_400_000;
const PATIENT = { timeout: 120_000, interval: 100 };
const jumps = [
  ["forward", YEARS],
  ["back", -YEARS],
] as const;

let open: AsyncDisposableStack;
let registry: RegistryDouble;
beforeEach(async () => {
  open = new AsyncDisposableStack();
  registry = open.use(await openRegistryDouble());
});
afterEach(async () => await open.disposeAsync());

type Jumping = { readonly plugin: Plugin; readonly jump: (aheadMs: number) => Promise<void> };

/** A plugin with a clock of its own. */
async function openJumping(settings: Readonly<Record<string, unknown>> = {}): Promise<Jumping> {
  const folder = await mkdtemp(path.join(os.tmpdir(), "larder-clock-"));
  open.defer(() => rm(folder, { recursive: true, force: true }));
  const file = path.join(folder, "ahead");
  // Whole at any moment, since it is read whenever somebody asks what time it is.
  const jump = async (aheadMs: number) => {
    await writeFile(`${file}.new`, String(aheadMs));
    await rename(`${file}.new`, file);
  };
  await jump(0);
  const program = "csi/testing/jumping-plugin.ts";
  const plugin = open.use(
    await openClaimPlugin({ settings, program, environment: { LARDER_TEST_CLOCK: file } }),
  );
  return { plugin, jump };
}

const podOf = (plugin: Plugin, reference: string, more: Readonly<Record<string, string>> = {}) =>
  podVolume(plugin, { attributes: { reference: `${registry.host}/${reference}`, ...more } });

describe.each(jumps)("a clock that jumps %s by years", (_, aheadMs) => {
  it("leaves what is mounted as it is, and gives under Always what the registry says now", async () => {
    const { plugin, jump } = await openJumping();
    putFiles(registry, { old: "old" }, { tags: ["v1"] });
    const always = { "pull-policy": "Always" };
    const before = await podOf(plugin, "a/b:v1", always);
    await before.publish();
    const mounted = await mountsAt(before.target);
    await jump(aheadMs);
    putFiles(registry, { fresh: "fresh" }, { tags: ["v1"] });
    await before.publish();
    expect(await mountsAt(before.target)).toEqual(mounted);
    const after = await podOf(plugin, "a/b:v1", always);
    await after.publish();
    expect(Object.keys(await contentsOf(after.target))).toEqual(["fresh"]);
    await jump(0);
    const again = await podOf(plugin, "a/b:v1", always);
    await again.publish();
    expect(Object.keys(await contentsOf(again.target))).toEqual(["fresh"]);
    for (const each of [before, after, again]) await each.unpublish();
    await nothingLeft(plugin);
  });

  it("makes no proof last longer: who is not let in any more gets nothing", async () => {
    const { plugin, jump } = await openJumping();
    const { digest } = putFiles(registry, { secret: unique(1000) });
    const [name, password] = ["owner", "owners-password"];
    const isOwner = (header: unknown) => header === basic(name, password);
    let isShut = false;
    registry.spoilWhere(
      ({ headers }) => isShut || !isOwner(headers["authorization"]),
      { kind: "status", status: 401, headers: { "www-authenticate": 'Basic realm="double"' } },
      Number.POSITIVE_INFINITY,
    );
    const secrets = pullSecret(registry.host, name, password);
    const attributes = { reference: `${registry.host}/a/b@${digest}` };
    const before = await podVolume(plugin, { attributes, secrets });
    await before.publish();
    await jump(aheadMs);
    isShut = true;
    const shut = await podVolume(plugin, { attributes, secrets });
    expect(await refusalOf(shut.publish())).toMatchObject({ code: "UNAUTHENTICATED" });
    isShut = false;
    await shut.publish();
    for (const each of [before, shut]) await each.unpublish();
    await nothingLeft(plugin);
  });

  it("goes on with a token that ran out, and with a pull in the air", async () => {
    const guarded = open.use(await openRegistryDouble({ auth: { kind: "bearer" } }));
    const { plugin, jump } = await openJumping();
    const { blobs } = putFiles(guarded, { a: unique(100_000) }, { tags: ["v1"] });
    const hold = guarded.hold(({ path: at }) => at.includes(blobs[0] ?? ""));
    const volume = await podVolume(plugin, { attributes: { reference: `${guarded.host}/a/b:v1` } });
    const publishing = volume.publish({ deadlineMs: 120_000 });
    await vi.waitFor(() => expect(guarded.count(`/blobs/${blobs[0]}`)).toBeGreaterThan(0), PATIENT);
    await jump(aheadMs);
    guarded.guard.expire();
    hold.release();
    await publishing;
    expect(Object.keys(await contentsOf(volume.target))).toEqual(["a"]);
    await volume.unpublish();
    await nothingLeft(plugin);
  });

  it("goes on after a restart with a pull that was begun, or begins it anew", async () => {
    const { plugin, jump } = await openJumping();
    const { digest, blobs } = putFiles(registry, { a: unique(100_000) });
    const hold = registry.hold(({ path: at }) => at.includes(blobs[0] ?? ""));
    const volume = await podOf(plugin, `a/b@${digest}`);
    expect(await refusalInTime(volume)).toMatchObject({ code: "ABORTED" });
    expect(await plugin.stop()).toBe(0);
    await jump(aheadMs);
    hold.release();
    const second = open.use(await plugin.restart());
    const after = await podOf(second, `a/b@${digest}`);
    await after.publish();
    expect(Object.keys(await contentsOf(after.target))).toEqual(["a"]);
    await after.unpublish();
    await nothingLeft(second);
  });
});

describe("a write-back of a node whose clock is years off", () => {
  const claimOf = (plugin: Plugin, name: string) =>
    new ClaimCalls(
      { plugin },
      {
        name,
        parameters: {
          repository: `${registry.host}/caches/\${cache}`,
          cache: "m2",
          key: "main",
          when: "always",
        },
      },
    );
  const writing = (name: string) => async (at: string) => await writeFile(path.join(at, name), name);
  const round = async (plugin: Plugin, name: string) => {
    const claim = claimOf(plugin, name);
    await claim.runPod(writing(name));
    await claim.deleteAtLast();
  };
  const headOf = async (plugin: Plugin): Promise<readonly string[]> => {
    let names: readonly string[] = [];
    const claim = claimOf(plugin, "look");
    await claim.runPod(async (at) => {
      names = (await readdir(at)).toSorted();
    });
    await claim.deleteAtLast();
    return names;
  };

  it("is newer than what it was built on, whichever way it is off, and so is the next of a node that is right", async () => {
    const { plugin, jump } = await openJumping();
    const right = open.use(await openClaimPlugin());
    await round(right, "one");
    for (const [direction, aheadMs] of jumps) {
      await jump(aheadMs);
      await round(plugin, direction);
      await round(right, `right after ${direction}`);
    }
    const all = ["one", "forward", "right after forward", "back", "right after back"];
    expect(await headOf(right)).toEqual(all.toSorted());
    const moved = 'larder_write_backs_total{key="moved"}';
    expect([await metric(plugin, moved), await metric(right, moved)]).toEqual([2, 3]);
  });

  it("leaves the key to what others wrote meanwhile where it is behind, which is told and lost to nobody", async () => {
    const { plugin, jump } = await openJumping();
    const right = open.use(await openClaimPlugin());
    await round(right, "one");
    await jump(-YEARS);
    const late = claimOf(plugin, "late");
    await late.runPod(writing("late"));
    await round(right, "two");
    const head = registry.pushes.digestOf("main");
    await late.deleteAtLast();
    expect(registry.pushes.digestOf("main")).toBe(head);
    expect(await metric(plugin, 'larder_write_backs_total{key="superseded"}')).toBe(1);
    expect(plugin.log.join("\n")).toContain("a newer version has its key");
    expect(registry.pushes.tags().filter((tag) => tag.startsWith("main."))).toHaveLength(3);
  });

  it("leaves the key to the newer of two nodes where it comes two hours late, and loses nothing of either", async () => {
    const [late, prompt] = [await openJumping(), await openJumping()];
    await round(late.plugin, "one");
    const claim = claimOf(late.plugin, "late");
    await claim.runPod(writing("late"));
    // Committed then, and tried again after two hours.
    registry.pushes.refuses = [413, "SIZE_INVALID", ""];
    await expect(claim.deleteAtLast()).rejects.toMatchObject({ code: "OUT_OF_RANGE" });
    registry.pushes.refuses = undefined;
    await prompt.jump(HOUR);
    await round(prompt.plugin, "two");
    const newer = registry.pushes.digestOf("main");
    await Promise.all([late.jump(2 * HOUR), prompt.jump(2 * HOUR)]);
    await claim.deleteAtLast();
    expect(registry.pushes.digestOf("main")).toBe(newer);
    expect(await metric(late.plugin, 'larder_write_backs_total{key="superseded"}')).toBe(1);
    expect(late.plugin.log.join("\n")).toContain("a newer version has its key");
    for (const { plugin } of [late, prompt]) expect(await headOf(plugin)).toEqual(["one", "two"]);
    const [, its] = registry.pushes.tags().filter((tag) => tag.startsWith("main."));
    const version = await podOf(prompt.plugin, `caches/m2:${its}`);
    await version.publish();
    expect(Object.keys(await contentsOf(version.target)).toSorted()).toEqual(["late", "one"]);
    await version.unpublish();
    await round(late.plugin, "three");
    for (const { plugin } of [late, prompt]) {
      expect(await headOf(plugin)).toEqual(["one", "three", "two"]);
      await nothingLeft(plugin);
    }
  });

  it("asks for the head again where the clock jumped between a claim's making and its first stage", async () => {
    const { plugin, jump } = await openJumping();
    await round(plugin, "one");
    for (const [direction, aheadMs] of jumps) {
      const claim = claimOf(plugin, `claim ${direction}`);
      await claim.create();
      const asked = registry.asked.length;
      await jump(aheadMs);
      await claim.stage();
      expect(registry.asked.length).toBeGreaterThan(asked);
      expect(await readdir(await claim.publish({ pod: "user" }))).toEqual(["one"]);
      await claim.unpublish("user");
      await claim.unstage();
      await claim.deleteAtLast();
      await jump(0);
    }
    await nothingLeft(plugin);
  });
});
