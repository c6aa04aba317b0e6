import { describe, expect, it, vi } from "vitest";
import { digestOf } from "../core/digest.ts";
import { Failure, isFailure, type Reason } from "../core/failure.ts";
import { groupedLayerId } from "../core/layer-id.ts";
import { recordName } from "../core/record.ts";
import { createClaim } from "./create-claim.ts";
import { publish } from "./publish.ts";
import type { PublishRequest } from "./requests.ts";
import { stats } from "./stats.ts";
import { ClaimNode, createRequest } from "./testing/claims.ts";
import { call, podRequest, root, severalLayers, TestNode } from "./testing/node.ts";
import { unpublish } from "./unpublish.ts";

const being = (reason: Reason) => expect.toSatisfy((error) => isFailure(error, reason)) as unknown;
const published = { records: 1, mounts: 1, directory: true, scratches: 1, limits: 1 };
const nothing = { records: 0, mounts: 0, directory: false, scratches: 0, limits: 0 };

const capability = { access: "mount", mode: "single-node-writer", fsType: "", mountFlags: [] } as const;

/** A pod's inline volume that it may write to. */
async function writable(
  node: TestNode,
  attributes: Readonly<Record<string, string>> = {},
  change: Partial<PublishRequest> = {},
): Promise<PublishRequest> {
  const request = await podRequest(node, { readOnly: false, ...change });
  const said = { writable: "true", size: "64Mi", ...attributes };
  return { ...request, attributes: new Map([...request.attributes, ...Object.entries(said)]) };
}

const placeOf = ({ volumeId, target }: PublishRequest) => `${root}/volumes/${recordName(volumeId, target)}`;

describe("publish() of a writable volume", () => {
  it("lays a limited upper over the artifact, and syncs nothing of it", async () => {
    const node = new TestNode();
    node.layers = severalLayers;
    const request = await writable(node, { uid: "7", gid: "8", mode: "2770", inodes: "100" });
    await publish(await node.start(), request, call);
    const [mount, ...others] = await node.mounts.at(request.target);
    expect(others).toEqual([]);
    expect(mount).toMatchObject({ type: "overlay", readOnly: false, noSuid: true, noDev: true });
    expect(mount?.options.split(",")).toEqual([
      ...severalLayers.map((layer) => `lowerdir+=${layer}`),
      `upperdir=${placeOf(request)}/upper`,
      `workdir=${placeOf(request)}/work`,
    ]);
    expect(node.filled).toMatchObject([{ layout: "overlay", wishes: { uid: 7, gid: 8, mode: 0o2770 } }]);
    expect(await node.quotas.readProject(placeOf(request))).toBe(1000);
    expect(await node.quotas.list()).toMatchObject([{ limits: { bytes: 64 * 2 ** 20, inodes: 100 } }]);
    expect(await node.remains(request.target)).toEqual(published);
  });

  it("stands on the artifact made over for the group of its pod, and is the group's to write", async () => {
    const node = new TestNode();
    node.layers = severalLayers;
    const request = await writable(node, {}, { capability: { ...capability, mountGroup: "7" } });
    await publish(await node.start(), request, call);
    const grouped = severalLayers.map((layer) => groupedLayerId(digestOf(layer), 7));
    const [mount] = await node.mounts.at(request.target);
    expect(mount?.options.split(",").slice(0, 3)).toEqual(grouped.map((layer) => `lowerdir+=${layer}`));
    expect(node.groups.owners).toEqual(new Map([[`${placeOf(request)}/upper`, 7]]));
    expect(node.held.get(recordName(request.volumeId, request.target))).toEqual(
      expect.arrayContaining(grouped),
    );
    expect([node.leases, node.groups.leases]).toEqual([0, 0]);
    // What is recorded is held again by the next start.
    const again = await node.start();
    const record = again.records.at(request.volumeId, request.target);
    expect(record?.grouped).toEqual(grouped.toReversed());
    await unpublish(again, request);
    expect(await node.remains(request.target)).toEqual(nothing);
  });

  it("gives a copy to the group of its pod, and makes no layer over for it", async () => {
    const node = new TestNode();
    node.layers = severalLayers;
    const said = { layout: "copy" };
    const request = await writable(node, said, { capability: { ...capability, mountGroup: "7" } });
    await publish(await node.start(), request, call);
    expect(node.groups.events).toEqual(["give 7"]);
    expect(node.groups.made.size).toBe(0);
  });

  it("refuses what is no group, and leaves nothing", async () => {
    const node = new TestNode();
    const request = await writable(node, {}, { capability: { ...capability, mountGroup: "staff" } });
    await expect(publish(await node.start(), request, call)).rejects.toEqual(being("invalid"));
    expect(await node.remains(request.target)).toEqual(nothing);
  });

  it("binds a copy of the artifact where that is asked, made of its layers", async () => {
    const node = new TestNode();
    node.layers = severalLayers;
    const request = await writable(node, { layout: "copy" });
    await publish(await node.start(), request, call);
    expect(await node.mounts.at(request.target)).toMatchObject([
      { root: `${placeOf(request)}/upper`, readOnly: false },
    ]);
    expect(node.filled).toMatchObject([{ layout: "copy" }]);
    expect(node.asked[0]?.layout).toBe("overlay");
  });

  it("repeated, changes nothing", async () => {
    const node = new TestNode();
    const deps = await node.start();
    const request = await writable(node);
    await publish(deps, request, call);
    await publish(deps, request, call);
    await publish(await node.start(), request, call);
    expect(node.filled.length).toBe(1);
    expect(await node.remains(request.target)).toEqual(published);
  });

  it("gives two pods a layer and a project each", async () => {
    const node = new TestNode();
    const deps = await node.start();
    const one = await writable(node, {}, { volumeId: "pv", attributes: pvAttributes });
    const two = { ...one, target: `${one.target}-2` };
    await Promise.all([publish(deps, one, call), publish(deps, { ...two, volumeId: "pv-2" }, call)]);
    expect((await node.quotas.list()).map(({ project }) => project)).toEqual([1000, 1001]);
  });

  it("gives a PersistentVolume in two pods of the node a layer each, and takes away only that of the one that goes", async () => {
    const node = new TestNode();
    const deps = await node.start();
    const one = await writable(node, {}, { volumeId: "pv", attributes: pvAttributes });
    const two = { ...one, target: `${one.target}-2` };
    await publish(deps, one, call);
    await publish(deps, two, call);
    await unpublish(deps, one);
    expect(await node.files.list(`${root}/volumes`)).toMatchObject([{ name: recordName("pv", two.target) }]);
    expect(await node.remains(two.target)).toEqual(published);
  });

  it("never shares a project with a claim, however both were made", async () => {
    const node = new ClaimNode();
    const inline = await node.start();
    const claims = { ...(await node.startClaims()), limits: inline.limits };
    const request = await writable(node);
    await Promise.all([
      publish(inline, request, call),
      createClaim(claims, createRequest({ name: "a" }), call),
      createClaim(claims, createRequest({ name: "b" }), call),
    ]);
    expect(new Set((await node.quotas.list()).map(({ project }) => project)).size).toBe(3);
  });

  it("without quotas on the node mounts it all the same, and says so", async () => {
    const node = new TestNode();
    node.hasQuotas = false;
    const deps = await node.start();
    const request = await writable(node);
    await publish(deps, request, call);
    expect(await node.remains(request.target)).toEqual({ ...published, limits: 0 });
    expect(
      node.log.lines.some(({ level, message }) => level === "warn" && message.includes("no limit")),
    ).toBe(true);
    await unpublish(deps, request);
    expect(await node.remains(request.target)).toEqual(nothing);
  });

  it.each([
    ["more than the node gives", { size: "11Gi" }, {}, "more than this node gives"],
    ["a pod that may only read it", {}, { readOnly: true }, "set readOnly to false"],
    [
      "a PersistentVolume for readers",
      {},
      {
        capability: {
          access: "mount",
          mode: "multi-node-reader-only",
          fsType: "",
          mountFlags: [],
          mountGroup: "",
        },
      },
      "has it read-only",
    ],
  ] as const)("refuses %s, and leaves nothing", async (_what, attributes, change, words) => {
    const node = new TestNode();
    const request = await writable(node, attributes, change);
    const refused = publish(await node.start(), request, call);
    await expect(refused).rejects.toEqual(being("invalid"));
    await expect(refused).rejects.toThrow(words);
    expect(await node.remains(request.target)).toEqual(nothing);
  });

  it("refuses a copy whose base does not fit with both sizes, and leaves nothing", async () => {
    const node = new TestNode();
    const request = await writable(node, { layout: "copy" });
    node.fill = () => Promise.reject(new Failure("full", "no space left"));
    const refused = publish(await node.start(), request, call);
    await expect(refused).rejects.toEqual(being("out-of-range"));
    await expect(refused).rejects.toThrow("it starts from 5 GiB, and holds at most 64 MiB");
    expect(await node.remains(request.target)).toEqual(nothing);
    expect(node.held.size).toBe(0);
  });

  it("tells a disk that is full from a limit", async () => {
    const node = new TestNode();
    const request = await writable(node, { layout: "copy" });
    node.files.room = { ...node.files.room, bytesFree: 2 ** 20 };
    node.fill = () => Promise.reject(new Failure("full", "no space left"));
    await expect(publish(await node.start(), request, call)).rejects.toEqual(being("full"));
    expect(await node.remains(request.target)).toEqual(nothing);
  });

  it("leaves nothing when the mount fails", async () => {
    const node = new TestNode();
    const deps = await node.start();
    const request = await writable(node);
    const mounts = Object.assign(Object.create(deps.mounts) as typeof deps.mounts, {
      overlay: () => Promise.reject(new Failure("unavailable", "the kernel has none left")),
    });
    await expect(publish({ ...deps, mounts }, request, call)).rejects.toEqual(being("unavailable"));
    expect(await node.remains(request.target)).toEqual(nothing);
    expect(node.held.size).toBe(0);
  });

  it("goes on with what a pod wrote when its mount was lost, and not after a reboot", async () => {
    const node = new TestNode();
    const request = await writable(node);
    await publish(await node.start(), request, call);
    await node.files.makeDirectory(`${placeOf(request)}/upper/mine`);
    node.mounts.forget();
    await publish(await node.start(), request, call);
    expect(await node.files.list(`${placeOf(request)}/upper`)).toMatchObject([{ name: "mine" }]);
    node.mounts.forget();
    const deps = await node.start();
    const rebooted = Object.assign(Object.create(deps.files) as typeof deps.files, { bootId: () => "next" });
    await publish({ ...deps, files: rebooted }, request, call);
    expect(await node.files.list(`${placeOf(request)}/upper`)).toEqual([]);
    expect(await node.remains(request.target)).toEqual(published);
  });
});

const pvAttributes = new Map([["reference", "r.example/a:v1"]]);

describe("stats() of a writable volume", () => {
  it("tells its limit and what is used of it, as df does", async () => {
    const node = new TestNode();
    const deps = await node.start();
    const request = await writable(node, { size: "1Mi", inodes: "20" });
    await publish(deps, request, call);
    node.quotas.writeFile(`${placeOf(request)}/file`, 5000);
    expect(await stats(deps, { volumeId: request.volumeId, path: request.target })).toEqual({
      bytes: { total: 2 ** 20, used: 8192, available: 2 ** 20 - 8192 },
      inodes: { total: 20, used: 2, available: 18 },
    });
  });

  it("counts what its pod took out of the limit as used too, once it was seen", async () => {
    const node = new TestNode();
    const deps = await node.start();
    const request = await writable(node, { size: "1Mi", inodes: "20" });
    await publish(deps, request, call);
    const ask = () => stats(deps, { volumeId: request.volumeId, path: request.target });
    node.quotas.makeDirectory(`${placeOf(request)}/out`);
    await node.quotas.setProject(`${placeOf(request)}/out`, 0);
    node.quotas.writeFile(`${placeOf(request)}/out/file`, 2 ** 21);
    expect((await ask()).bytes.used).toBe(0);
    await vi.waitFor(async () => expect((await ask()).bytes.used).toBe(2 ** 21), { timeout: 20_000 });
    expect(await ask()).toEqual({
      bytes: { total: 2 ** 20, used: 2 ** 21, available: 2 ** 20 },
      inodes: { total: 20, used: 3, available: 19 },
    });
  });

  it("tells what the disk has where nothing is limited", async () => {
    const node = new TestNode();
    node.hasQuotas = false;
    const deps = await node.start();
    const request = await writable(node);
    await publish(deps, request, call);
    const { bytes } = await stats(deps, { volumeId: request.volumeId, path: request.target });
    expect(bytes).toEqual({ total: 2 ** 40, used: 2 ** 39, available: 2 ** 39 });
  });
});

describe("a stop after each step of a writable volume", () => {
  it.each(["publish", "unpublish"] as const)("of %s: recover, call again, same end", async (journey) => {
    for (let stop = 0; ; stop++) {
      const node = new TestNode();
      const request = await writable(node);
      if (journey === "unpublish") await publish(await node.start(), request, call);
      const deps = await node.start();
      node.stopAfter = node.effects + stop;
      const work = (with_: typeof deps) =>
        journey === "publish" ? publish(with_, request, call) : unpublish(with_, request);
      const isDone = await work(deps).then(
        () => true,
        () => false,
      );
      node.stopAfter = undefined;
      await work(await node.start());
      const end = journey === "publish" ? published : nothing;
      expect(await node.remains(request.target), `after ${stop} effects`).toEqual(end);
      if (isDone) {
        expect(stop).toBeGreaterThan(5);
        return;
      }
    }
  });

  it("of publish: a start after the pod is gone leaves nothing", async () => {
    for (let stop = 0; stop < 12; stop++) {
      const node = new TestNode();
      const request = await writable(node);
      const deps = await node.start();
      node.stopAfter = node.effects + stop;
      await publish(deps, request, call).catch(() => undefined);
      node.stopAfter = undefined;
      for (let at = request.target; !at.endsWith("/pods"); at = at.slice(0, at.lastIndexOf("/")))
        await node.files.removeEmptyDirectory(at);
      await node.start();
      expect(await node.remains(request.target), `after ${stop} effects`).toEqual(nothing);
    }
  });
});
