import { describe, expect, it } from "vitest";
import { commitClaim } from "../core/claim-steps.ts";
import { Failure, isFailure, type Reason } from "../core/failure.ts";
import type { OverlayRequest } from "../host/mounts.ts";
import { claimStats, readCapacity, validateClaim } from "./claim-answers.ts";
import { placesOf } from "./claim-disk.ts";
import { createClaim } from "./create-claim.ts";
import { deleteClaim } from "./delete-claim.ts";
import { expandClaim } from "./expand-claim.ts";
import { Limits } from "./limits.ts";
import { modifyClaim } from "./modify-claim.ts";
import { publishClaim, unpublishClaim } from "./publish-claim.ts";
import { stageClaim } from "./stage-claim.ts";
import { ClaimNode, createRequest, driver, stageRequest, staging, targetRequest } from "./testing/claims.ts";
import { call, root } from "./testing/node.ts";
import { unstageClaim } from "./unstage-claim.ts";

const being = (reason: Reason) => expect.toSatisfy((error) => isFailure(error, reason)) as unknown;
const cached = new Map([
  ["repository", "r.example/caches/${cache}"],
  ["cache", "m2"],
  ["when", "always"],
]);
type Deps = Awaited<ReturnType<ClaimNode["startClaims"]>>;

async function use(node: ClaimNode, deps: Deps, volumeId: string): Promise<void> {
  const target = await targetRequest(node, volumeId);
  await stageClaim(deps, stageRequest(volumeId), call);
  await publishClaim(deps, target, call);
  await unpublishClaim(deps, target);
  await unstageClaim(deps, { volumeId, path: staging }, call);
}

async function remains(node: ClaimNode): Promise<object> {
  return {
    claims: (await node.files.list(`${root}/claims`)).length,
    volumes: (await node.files.list(`${root}/volumes`)).length,
    limits: (await node.quotas.list()).filter(({ limits }) => limits !== undefined).length,
    mounts: (await node.mounts.list()).length,
  };
}

const nothing = { claims: 0, volumes: 0, limits: 0, mounts: 0 };

describe("createClaim()", () => {
  it("records the claim, its project and its limit", async () => {
    const node = new ClaimNode();
    const deps = await node.startClaims();
    const { volumeId, bytes } = await createClaim(deps, createRequest(), call);
    expect(bytes).toBe(10 * 2 ** 20);
    expect(await node.quotas.list()).toMatchObject([{ project: 1000, limits: { bytes, inodes: 2560 } }]);
    expect(deps.claims.find(volumeId)?.project).toBe(1000);
  });

  it("is one claim per name, and a conflict where it differs", async () => {
    const node = new ClaimNode();
    const deps = await node.startClaims();
    const first = await createClaim(deps, createRequest(), call);
    expect(await createClaim(deps, createRequest(), call)).toEqual(first);
    const larger = createRequest({ size: { requiredBytes: 2 ** 30, limitBytes: 2 ** 30 } });
    await expect(createClaim(deps, larger, call)).rejects.toEqual(being("conflict"));
    expect((await node.quotas.list()).length).toBe(1);
  });

  it("leaves nothing of a claim that found no room after it was recorded: it is made on another node then", async () => {
    const node = new ClaimNode();
    const deps = await node.startClaims();
    const full = async () => await Promise.reject(new Failure("full", "Cannot limit: no space left"));
    node.quotas.setLimits = full;
    await expect(createClaim(deps, createRequest(), call)).rejects.toEqual(being("full"));
    expect(await remains(node)).toEqual(nothing);
    expect(deps.claims.all.size).toBe(0);
    Reflect.deleteProperty(node.quotas, "setLimits");
    await createClaim(deps, createRequest(), call);
    // One that was told of stays.
    node.quotas.setLimits = full;
    await expect(createClaim(deps, createRequest(), call)).rejects.toEqual(being("full"));
    expect(deps.claims.all.size).toBe(1);
  });

  it("leaves nothing of one either that found no room when it was asked for again, after it was told pending", async () => {
    const node = new ClaimNode();
    const deps = await node.startClaims();
    const parameters = new Map([
      ["repository", "r.example/caches/${cache}"],
      ["cache", "m2"],
    ]);
    const asked = createRequest({ parameters });
    const pending = AbortSignal.abort(new Failure("pending", "The base is looked for"));
    await expect(createClaim(deps, asked, { ...call, signal: pending })).rejects.toEqual(being("pending"));
    expect(deps.claims.all.size).toBe(1);
    const full = async () => await Promise.reject(new Failure("full", "Cannot limit: no space left"));
    node.quotas.setLimits = full;
    await expect(createClaim(deps, asked, call)).rejects.toEqual(being("full"));
    expect(await remains(node)).toEqual(nothing);
    expect(deps.claims.all.size).toBe(0);
    Reflect.deleteProperty(node.quotas, "setLimits");
    await createClaim(deps, asked, call);
    // One that was told of stays.
    node.quotas.setLimits = full;
    await expect(createClaim(deps, asked, call)).rejects.toEqual(being("full"));
    expect(deps.claims.all.size).toBe(1);
  });

  it("gives projects that nobody has, to claims made at once too", async () => {
    const node = new ClaimNode();
    const deps = await node.startClaims();
    const names = Array.from({ length: 10 }, (_, index) => `pvc-${index}`);
    await Promise.all(names.map((name) => createClaim(deps, createRequest({ name }), call)));
    expect(new Set([...deps.claims.all.values()].map(({ project }) => project)).size).toBe(10);
  });

  it("gives claims that are not written back, with a warning, while others that wait hold more than claims.pending", async () => {
    const node = new ClaimNode();
    node.pendingBytes = 1000;
    node.layerBytes = 1001;
    const deps = await node.startClaims();
    const make = async (name: string, parameters: ReadonlyMap<string, string> = cached) =>
      await createClaim(deps, createRequest({ name, parameters }), call);
    const first = await make("first");
    expect(first.context.size).toBe(0);
    await use(node, deps, first.volumeId);
    const refusing = { ...deps, push: () => Promise.reject(new Failure("unavailable", "down")) };
    await expect(
      deleteClaim(refusing, { volumeId: first.volumeId, secrets: new Map() }, call),
    ).rejects.toEqual(being("unavailable"));
    const second = await make("second");
    expect(second.context.get("warning")).toContain("claims.pending");
    expect(await make("second")).toEqual(second);
    expect(deps.claims.find(second.volumeId)?.terms.policy).toBe("pull");
    expect(node.log.lines).toContainEqual(
      expect.objectContaining({ level: "warn", message: second.context.get("warning") }),
    );
    const cacheless = await make("third", new Map());
    expect(cacheless.context.size).toBe(0);
    // What was written back counts no more.
    await deleteClaim(deps, { volumeId: first.volumeId, secrets: new Map() }, call);
    expect((await make("fourth")).context.size).toBe(0);
  });

  it("never promises more than there is room for, to claims made at once too", async () => {
    const node = new ClaimNode();
    node.files.room = { ...node.files.room, bytesFree: 25 * 2 ** 20 };
    const deps = await node.startClaims();
    const made = await Promise.allSettled(
      ["a", "b", "c"].map((name) => createClaim(deps, createRequest({ name }), call)),
    );
    expect(made.filter(({ status }) => status === "fulfilled").length).toBe(2);
    expect(made.find(({ status }) => status === "rejected")).toMatchObject({ reason: being("full") });
  });

  it("collects what it needs before it refuses anybody, and refuses what that would not do", async () => {
    const node = new ClaimNode();
    const MiB = 2 ** 20;
    node.files.room = { ...node.files.room, bytesFree: 4 * MiB };
    node.collectableBytes = 10 * MiB;
    const deps = await node.startClaims();
    const capacity = async () =>
      (await readCapacity(deps, { capabilities: [], parameters: new Map() })).availableBytes;
    expect(await capacity()).toBe(14 * MiB);
    node.incomingBytes = 1 * MiB;
    expect(await capacity()).toBe(13 * MiB);
    await createClaim(deps, createRequest(), call);
    expect(node.collectableBytes).toBe(3 * MiB);
    await expect(createClaim(deps, createRequest({ name: "pvc-2" }), call)).rejects.toEqual(being("full"));
    expect(node.collectableBytes).toBe(3 * MiB);
  });

  it("refuses where what it was to collect was leased meanwhile, and leaves nothing", async () => {
    const node = new ClaimNode();
    node.files.room = { ...node.files.room, bytesFree: 4 * 2 ** 20 };
    node.collectableBytes = 10 * 2 ** 20;
    node.onCollect = async () => void (node.collectableBytes = 2 ** 20);
    const deps = await node.startClaims();
    await expect(createClaim(deps, createRequest(), call)).rejects.toEqual(being("full"));
    expect(await remains(node)).toEqual(nothing);
  });

  it.each([
    [
      "a block device",
      {
        capabilities: [
          { access: "block", mode: "single-node-writer", fsType: "", mountFlags: [], mountGroup: "" },
        ],
      },
      "invalid",
    ],
    [
      "writers on several nodes",
      {
        capabilities: [
          { access: "mount", mode: "multi-node-multi-writer", fsType: "", mountFlags: [], mountGroup: "" },
        ],
      },
      "invalid",
    ],
    ["a snapshot as its source", { hasSource: true }, "invalid"],
    ["an unknown parameter", { parameters: new Map([["cahce", "m2"]]) }, "invalid"],
    ["another node", { topology: [new Map([[`${driver}/node`, "node-2"]])] }, "full"],
  ] as const)("refuses %s, and leaves nothing", async (_what, change, reason) => {
    const node = new ClaimNode();
    const deps = await node.startClaims();
    await expect(createClaim(deps, createRequest(change), call)).rejects.toEqual(being(reason));
    expect(await remains(node)).toEqual(nothing);
  });
});

describe("stageClaim()", () => {
  it("mounts an empty base writable, fixes it, and does so once", async () => {
    const node = new ClaimNode();
    const deps = await node.startClaims();
    const { volumeId } = await createClaim(deps, createRequest(), call);
    await stageClaim(deps, stageRequest(volumeId), call);
    await stageClaim(deps, stageRequest(volumeId), call);
    const mounts = await node.mounts.at(staging);
    expect(mounts).toMatchObject([{ type: "overlay", readOnly: false, noSuid: true, noDev: true }]);
    expect(deps.claims.find(volumeId)?.base).toMatchObject({ origin: "empty", isTainted: false, layers: [] });
  });

  it("waits for a cache that cannot be had until base-deadline, and then starts empty and tainted, with a warning", async () => {
    const node = new ClaimNode();
    const deps = await node.startClaims();
    node.trouble = new Failure("unavailable", "the registry is down");
    const { volumeId } = await createClaim(deps, createRequest({ parameters: cached }), call);
    await expect(stageClaim(deps, stageRequest(volumeId), call)).rejects.toEqual(being("unavailable"));
    node.now += 6 * 60_000;
    await stageClaim(deps, stageRequest(volumeId), call);
    expect(deps.claims.find(volumeId)?.base).toMatchObject({ origin: "empty", isTainted: true });
    expect(node.log.lines.some(({ level, message }) => level === "warn" && message.includes("down"))).toBe(
      true,
    );
  });

  it("takes a cache that does not exist yet for empty, without a taint", async () => {
    const node = new ClaimNode();
    const deps = await node.startClaims();
    const { volumeId } = await createClaim(deps, createRequest({ parameters: cached }), call);
    await stageClaim(deps, stageRequest(volumeId), call);
    expect(deps.claims.find(volumeId)?.base).toMatchObject({ origin: "empty", isTainted: false });
  });

  it("comes before any publish after a reboot, so that it is noticed", async () => {
    const node = new ClaimNode();
    const deps = await node.startClaims();
    const { volumeId } = await createClaim(deps, createRequest(), call);
    const target = await targetRequest(node, volumeId);
    await stageClaim(deps, stageRequest(volumeId), call);
    await node.mounts.unmount(staging);
    node.files.bootId = () => "another boot";
    await expect(publishClaim(deps, target, call)).rejects.toEqual(being("in-use"));
    expect(await node.mounts.list()).toEqual([]);
    await stageClaim(deps, stageRequest(volumeId), call);
    await publishClaim(deps, target, call);
    expect(deps.claims.require(volumeId).wentDown).toEqual({ isUsedSince: true });
  });

  it.each([
    ["keeps what was written when the node went down", "normal", ["x"]],
    ["throws away what was written when the node went down under a volatile claim", "volatile", []],
  ])("%s", async (_what, durability, kept) => {
    const node = new ClaimNode();
    const deps = await node.startClaims();
    const parameters = new Map([...cached, ["durability", durability]]);
    const { volumeId } = await createClaim(deps, createRequest({ parameters }), call);
    const target = await targetRequest(node, volumeId);
    await stageClaim(deps, stageRequest(volumeId), call);
    await publishClaim(deps, target, call);
    const { upper } = placesOf(root, { volumeId });
    await node.files.writeAtomically(`${upper}/x`, new Uint8Array(), { durable: true });
    for (const at of [target.target, staging]) await node.mounts.unmount(at);
    node.files.bootId = () => "another boot";
    for (let again = 0; again < 2; again++) {
      await stageClaim(deps, stageRequest(volumeId), call);
      expect((await node.files.list(upper)).map(({ name }) => name)).toEqual(kept);
      await node.mounts.unmount(staging);
    }
    // What a pod writes from here on is as good as ever.
    await stageClaim(deps, stageRequest(volumeId), call);
    await publishClaim(deps, target, call);
    await node.files.writeAtomically(`${upper}/y`, new Uint8Array(), { durable: true });
    await unpublishClaim(deps, target);
    await unstageClaim(deps, { volumeId, path: staging }, call);
    await stageClaim(deps, stageRequest(volumeId), call);
    expect((await node.files.list(upper)).map(({ name }) => name)).toEqual([...kept, "y"]);
  });
});

describe("unstageClaim()", () => {
  it.each([
    ["normal", "overlay", []],
    ["normal", "copy", ["syncFilesystem"]],
    ["volatile", "overlay", []],
    ["volatile", "copy", []],
  ])("of a %s %s syncs what its unmount does not: %j", async (durability, layout, expected) => {
    const node = new ClaimNode();
    const deps = await node.startClaims();
    const syncs: string[] = [];
    const mounted: OverlayRequest[] = [];
    const files = new Proxy(deps.files, {
      get: (target, name) => {
        if (String(name).startsWith("sync")) syncs.push(String(name));
        const method = target[name as keyof typeof target] as (...args: unknown[]) => unknown;
        return method.bind(target);
      },
    });
    const mounts = Object.assign(Object.create(deps.mounts) as typeof deps.mounts, {
      overlay: async (request: OverlayRequest) => {
        mounted.push(request);
        await deps.mounts.overlay(request);
      },
    });
    const watched = { ...deps, files, mounts };
    const parameters = new Map([...cached, ["durability", durability], ["layout", layout]]);
    const { volumeId } = await createClaim(deps, createRequest({ parameters }), call);
    await stageClaim(watched, stageRequest(volumeId), call);
    expect(syncs).toEqual([]);
    await unstageClaim(watched, { volumeId, path: staging }, call);
    expect(syncs).toEqual(expected);
    const isVolatile = mounted.map((request) => request.volatile === true);
    expect(isVolatile).toEqual(layout === "copy" ? [] : [durability === "volatile"]);
  });

  it("of a volatile claim syncs nothing: its commit does, and a node that goes down before throws it away", async () => {
    for (const isDown of [false, true]) {
      const node = new ClaimNode();
      const deps = await node.startClaims();
      const parameters = new Map([...cached, ["durability", "volatile"]]);
      const { volumeId } = await createClaim(deps, createRequest({ parameters }), call);
      await use(node, deps, volumeId);
      if (isDown) node.files.bootId = () => "another boot";
      await deleteClaim(deps, { volumeId, secrets: new Map() }, call);
      expect(node.pushes).toEqual(isDown ? [] : [volumeId]);
      const why = node.log.lines.filter((line) => String(line["why"]).includes("volatile"));
      expect(why).toHaveLength(isDown ? 1 : 0);
      expect(await remains(node)).toEqual(nothing);
    }
  });
});

describe("publishClaim()", () => {
  it("shows the claim to several pods, read-only where that is asked", async () => {
    const node = new ClaimNode();
    const deps = await node.startClaims();
    const { volumeId } = await createClaim(deps, createRequest(), call);
    await stageClaim(deps, stageRequest(volumeId), call);
    const one = await targetRequest(node, volumeId);
    const two = { ...(await targetRequest(node, volumeId, "pod-2")), readOnly: true };
    await publishClaim(deps, one, call);
    await publishClaim(deps, two, call);
    await publishClaim(deps, two, call);
    expect((await node.mounts.at(one.target)).map(({ readOnly }) => readOnly)).toEqual([false]);
    expect((await node.mounts.at(two.target)).map(({ readOnly }) => readOnly)).toEqual([true]);
    await expect(publishClaim(deps, { ...two, readOnly: false }, call)).rejects.toEqual(being("conflict"));
  });

  it.each(["single-node-reader-only", "multi-node-reader-only"] as const)(
    "shows it read-only to readers by access mode, %s, whatever the call says",
    async (mode) => {
      const node = new ClaimNode();
      const deps = await node.startClaims();
      const { volumeId } = await createClaim(deps, createRequest(), call);
      await stageClaim(deps, stageRequest(volumeId), call);
      const target = await targetRequest(node, volumeId);
      const reading = { ...target, capability: { ...target.capability, mode } };
      await publishClaim(deps, reading, call);
      expect((await node.mounts.at(target.target)).map(({ readOnly }) => readOnly)).toEqual([true]);
    },
  );

  it("refuses a second target of a ReadWriteOncePod claim", async () => {
    const node = new ClaimNode();
    const deps = await node.startClaims();
    const { volumeId } = await createClaim(deps, createRequest(), call);
    await stageClaim(deps, stageRequest(volumeId), call);
    const one = await targetRequest(node, volumeId);
    const alone = { ...one.capability, mode: "single-node-single-writer" } as const;
    await publishClaim(deps, { ...one, capability: alone }, call);
    const two = { ...(await targetRequest(node, volumeId, "pod-2")), capability: alone };
    await expect(publishClaim(deps, two, call)).rejects.toEqual(being("in-use"));
  });

  it("refuses what is not staged, and what is not here", async () => {
    const node = new ClaimNode();
    const deps = await node.startClaims();
    const { volumeId } = await createClaim(deps, createRequest(), call);
    const target = await targetRequest(node, volumeId);
    await expect(publishClaim(deps, target, call)).rejects.toEqual(being("in-use"));
    await expect(publishClaim(deps, { ...target, volumeId: "claim-x" }, call)).rejects.toEqual(
      being("not-found"),
    );
  });
});

describe("expandClaim()", () => {
  it("raises the limit while the claim is in use, never lowers it", async () => {
    const node = new ClaimNode();
    const deps = await node.startClaims();
    const { volumeId } = await createClaim(deps, createRequest(), call);
    const expand = (requiredBytes: number) =>
      expandClaim(deps, { volumeId, path: staging, size: { requiredBytes, limitBytes: 0 } });
    expect(await expand(20 * 2 ** 20)).toEqual({ bytes: 20 * 2 ** 20 });
    expect(await expand(2 ** 20)).toEqual({ bytes: 20 * 2 ** 20 });
    expect((await node.quotas.list())[0]?.limits).toEqual({ bytes: 20 * 2 ** 20, inodes: 5120 });
  });

  it.each([
    ["what it has", 0, 5, /it has 10 MiB, and claims do not shrink$/],
    ["what is required", 30, 20, /it is to have 30 MiB at least; ask for less or allow more$/],
  ])("refuses to hold it to less than %s, and leaves it", async (_, required, most, words) => {
    const node = new ClaimNode();
    const deps = await node.startClaims();
    const { volumeId, bytes } = await createClaim(deps, createRequest(), call);
    const size = { requiredBytes: required * 2 ** 20, limitBytes: most * 2 ** 20 };
    const refused = expandClaim(deps, { volumeId, path: staging, size });
    await expect(refused).rejects.toMatchObject({
      reason: "out-of-range",
      message: expect.stringMatching(words) as unknown,
    });
    expect(deps.claims.require(volumeId).bytes).toBe(bytes);
  });
});

describe("Promises.give()", () => {
  const MiB = 2 ** 20;

  it("lets of a create and an expansion of one moment only one have the last room", async () => {
    const node = new ClaimNode();
    node.files.room = { ...node.files.room, bytesFree: 25 * MiB };
    const deps = await node.startClaims();
    const { volumeId } = await createClaim(deps, createRequest(), call);
    const size = { requiredBytes: 20 * MiB, limitBytes: 0 };
    const ends = await Promise.allSettled([
      expandClaim(deps, { volumeId, path: staging, size }),
      createClaim(deps, createRequest({ name: "pvc-2" }), call),
    ]);
    expect(ends.map(({ status }) => status).sort()).toEqual(["fulfilled", "rejected"]);
    expect(ends.find(({ status }) => status === "rejected")).toMatchObject({ reason: being("full") });
    expect(await deps.promises.weigh()).toEqual({ unusedBytes: 20 * MiB, heldBytes: 20 * MiB });
  });

  it("counts what it gives for everybody else while it looks, and no more once it was refused", async () => {
    const node = new ClaimNode();
    const { promises } = await node.startClaims();
    const seen: number[] = [];
    const failing = promises.give(7, async () => {
      seen.push((await promises.weigh()).unusedBytes);
      throw new Failure("full", "no room");
    });
    await expect(failing).rejects.toEqual(being("full"));
    await promises.give(5, async () => void seen.push((await promises.weigh()).unusedBytes));
    seen.push((await promises.weigh()).unusedBytes);
    expect(seen).toEqual([7, 5, 0]);
  });
});

describe("readCapacity(), validateClaim(), claimStats()", () => {
  it("tell what is left, what fits and what is used", async () => {
    const node = new ClaimNode();
    node.files.room = { ...node.files.room, bytesFree: 100 * 2 ** 20 };
    const deps = await node.startClaims();
    const { volumeId } = await createClaim(deps, createRequest(), call);
    const capacity = await readCapacity(deps, { capabilities: [], parameters: new Map() });
    expect(capacity.availableBytes).toBe(90 * 2 ** 20);
    const elsewhere = new Map([[`${driver}/node`, "node-2"]]);
    const other = await readCapacity(deps, { capabilities: [], parameters: new Map(), topology: elsewhere });
    expect(other.availableBytes).toBe(0);
    const { capabilities, parameters, mutable, secrets } = createRequest();
    const asked = {
      volumeId,
      capabilities,
      parameters,
      mutable,
      secrets,
      context: new Map<string, string>(),
    };
    expect(await validateClaim(deps, asked)).toEqual({ confirmed: true });
    await stageClaim(deps, stageRequest(volumeId), call);
    expect((await claimStats(deps, { volumeId, path: staging }))?.bytes.total).toBe(10 * 2 ** 20);
    expect(await claimStats(deps, { volumeId, path: "/elsewhere" })).toBeUndefined();
  });
});

describe("deleteClaim()", () => {
  it("leaves nothing of a claim that has no cache, and is fine with one that is unknown", async () => {
    const node = new ClaimNode();
    const deps = await node.startClaims();
    const { volumeId } = await createClaim(deps, createRequest(), call);
    await use(node, deps, volumeId);
    await deleteClaim(deps, { volumeId, secrets: new Map() }, call);
    await deleteClaim(deps, { volumeId, secrets: new Map() }, call);
    expect(await remains(node)).toEqual(nothing);
    expect(node.pushes).toEqual([]);
  });

  it("commits, packs and pushes what changed in a cache, and only then lets go", async () => {
    const node = new ClaimNode();
    const deps = await node.startClaims();
    const { volumeId } = await createClaim(deps, createRequest({ parameters: cached }), call);
    await use(node, deps, volumeId);
    await deleteClaim(deps, { volumeId, secrets: new Map() }, call);
    expect([node.packs.length, node.pushes.length, node.adopted.size]).toEqual([1, 1, 1]);
    expect(await remains(node)).toEqual(nothing);
  });

  it.each([
    ["after the Layer was in place and limited still", true],
    ["after the Record said so and before the Layer was in place", false],
  ])("commits to the end where an earlier call died %s", async (_when, isAdopted) => {
    const node = new ClaimNode();
    const deps = await node.startClaims();
    const { volumeId } = await createClaim(deps, createRequest({ parameters: cached }), call);
    await use(node, deps, volumeId);
    const adopt: Deps["layers"]["adopt"] = async (...layer) => {
      if (isAdopted) await deps.layers.adopt(...layer);
      throw new Failure("unavailable", "the disk failed");
    };
    const request = { volumeId, secrets: new Map<string, string>() };
    const dying = { ...deps, layers: { ...deps.layers, adopt } };
    await expect(deleteClaim(dying, request, call)).rejects.toEqual(being("unavailable"));
    const pack: Deps["pack"] = async () => {
      expect(node.adopted.size).toBe(1);
      expect((await node.quotas.list()).filter(({ limits }) => limits !== undefined)).toEqual([]);
      return { isChanged: false };
    };
    await deleteClaim({ ...deps, pack }, request, call);
    expect(await remains(node)).toEqual(nothing);
  });

  it("makes no Layer of what is gone from the disk", async () => {
    const node = new ClaimNode();
    const deps = await node.startClaims();
    const { volumeId } = await createClaim(deps, createRequest({ parameters: cached }), call);
    await use(node, deps, volumeId);
    await deps.claims.write(commitClaim(deps.claims.require(volumeId), node.now));
    await deps.discard(`${root}/volumes/${volumeId}`);
    const request = { volumeId, secrets: new Map<string, string>() };
    await expect(deleteClaim(deps, request, call)).rejects.toEqual(being("corrupt"));
    expect([node.adopted.size, node.pushes.length]).toEqual([0, 0]);
  });

  it("unstages one whose stage died before anything of it was on the disk, under copy too", async () => {
    const node = new ClaimNode();
    const deps = await node.startClaims();
    const parameters = new Map([["layout", "copy"]]);
    const { volumeId } = await createClaim(deps, createRequest({ parameters }), call);
    const record = deps.claims.require(volumeId);
    const base = { layers: [], origin: "empty", isTainted: false } as const;
    await deps.claims.write({ ...record, base, stage: { path: staging, boot: deps.files.bootId() } });
    await deps.files.removeEmptyDirectory(placesOf(root, record).directory);
    await unstageClaim(deps, { volumeId, path: staging }, call);
    expect(deps.claims.require(volumeId).stage).toBeUndefined();
  });

  it("pushes nothing of a claim whose stage died before a pod could write", async () => {
    const node = new ClaimNode();
    const deps = await node.startClaims();
    const { volumeId } = await createClaim(deps, createRequest({ parameters: cached }), call);
    const fill = () => Promise.reject(new Failure("full", "the disk is full"));
    await expect(stageClaim({ ...deps, fill }, stageRequest(volumeId), call)).rejects.toEqual(being("full"));
    await deleteClaim(deps, { volumeId, secrets: new Map() }, call);
    expect([node.adopted.size, node.pushes.length]).toEqual([0, 0]);
    expect(await remains(node)).toEqual(nothing);
  });

  it("pushes nothing where nothing changed", async () => {
    const node = new ClaimNode();
    const deps = await node.startClaims();
    const { volumeId } = await createClaim(deps, createRequest({ parameters: cached }), call);
    await use(node, deps, volumeId);
    node.isChanged = false;
    await deleteClaim(deps, { volumeId, secrets: new Map() }, call);
    expect(node.pushes).toEqual([]);
    expect(await remains(node)).toEqual(nothing);
  });

  it("keeps everything while the registry refuses, and drops it once the deadline has passed", async () => {
    const node = new ClaimNode();
    const deps = await node.startClaims();
    const { volumeId } = await createClaim(deps, createRequest({ parameters: cached }), call);
    await use(node, deps, volumeId);
    const refusing = {
      ...deps,
      push: () => Promise.reject(new Failure("unavailable", "the registry is down")),
    };
    await expect(deleteClaim(refusing, { volumeId, secrets: new Map() }, call)).rejects.toEqual(
      being("unavailable"),
    );
    expect(deps.claims.find(volumeId)?.commit).toBeDefined();
    const again = async () => await deleteClaim(refusing, { volumeId, secrets: new Map() }, call);
    // Such as a node that was off for a week, whose network is not up yet.
    node.now += 7 * 24 * 3_600_000;
    await expect(again()).rejects.toEqual(being("unavailable"));
    for (let hours = 2; hours < 24; hours++) {
      node.now += 3_600_000;
      await expect(again()).rejects.toEqual(being("unavailable"));
    }
    node.now += 3_600_000;
    await again();
    expect(node.metrics.counted.filter(({ what }) => what === "claim")).toEqual([
      { what: "claim", event: "created" },
      { what: "claim", event: "lost" },
    ]);
    expect(await remains(node)).toEqual(nothing);
  });

  it("collects for its Record on a full disk, and goes on", async () => {
    const node = new ClaimNode();
    const deps = await node.startClaims();
    const { volumeId } = await createClaim(deps, createRequest({ parameters: cached }), call);
    await use(node, deps, volumeId);
    node.files.room = { ...node.files.room, bytesFree: 0 };
    node.collectableBytes = 2 ** 20;
    await deleteClaim(deps, { volumeId, secrets: new Map() }, call);
    expect(node.pushes).toEqual([volumeId]);
    expect(node.collectableBytes).toBe(0);
  });

  it("keeps what it owes on a full disk, with sizes and what helps, and lets go of what it does not", async () => {
    const node = new ClaimNode();
    const deps = await node.startClaims();
    const make = async (name: string, more: ReadonlyArray<readonly [string, string]>) => {
      const parameters = new Map([...cached, ...more]);
      const { volumeId } = await createClaim(deps, createRequest({ name, parameters }), call);
      await use(node, deps, volumeId);
      return volumeId;
    };
    const owed = await make("owed", []);
    const free = await make("free", [["policy", "discard"]]);
    const { room } = node.files;
    node.files.room = { ...room, bytesFree: 0 };
    const deleted = async (volumeId: string) =>
      await deleteClaim(deps, { volumeId, secrets: new Map() }, call);
    await expect(deleted(owed)).rejects.toThrow(/0 B of .* are free.*All of it is kept; free room.*discard/);
    await deleted(free);
    expect([...deps.claims.all.keys()]).toEqual([owed]);
    expect(node.pushes).toEqual([]);
    node.files.room = room;
    await deleted(owed);
    expect(node.pushes).toEqual([owed]);
    expect(deps.claims.all.size).toBe(0);
  });

  it("refuses while the claim is mounted", async () => {
    const node = new ClaimNode();
    const deps = await node.startClaims();
    const { volumeId } = await createClaim(deps, createRequest(), call);
    await stageClaim(deps, stageRequest(volumeId), call);
    await expect(deleteClaim(deps, { volumeId, secrets: new Map() }, call)).rejects.toEqual(being("in-use"));
    expect((await node.mounts.at(staging)).length).toBe(1);
  });

  it("waits for the unstage that comes before its deadline, which is not told that it is busy", async () => {
    const node = new ClaimNode();
    const deps = await node.startClaims();
    const { volumeId } = await createClaim(deps, createRequest({ parameters: cached }), call);
    const target = await targetRequest(node, volumeId);
    await stageClaim(deps, stageRequest(volumeId), call);
    await publishClaim(deps, target, call);
    const patient = { ...call, deadline: node.now + 60_000 };
    const deleting = Promise.all([
      deleteClaim(deps, { volumeId, secrets: new Map() }, patient),
      deleteClaim(deps, { volumeId, secrets: new Map() }, patient),
    ]);
    await unpublishClaim(deps, target);
    expect(node.packs).toEqual([]);
    await unstageClaim(deps, { volumeId, path: staging }, call);
    await deleting;
    expect([node.packs.length, node.pushes.length]).toEqual([1, 1]);
    expect(await remains(node)).toEqual(nothing);
  });

  it("says in-use shortly before its deadline while the claim stays mounted, and deletes nothing then", async () => {
    const node = new ClaimNode();
    const deps = await node.startClaims();
    const { volumeId } = await createClaim(deps, createRequest({ parameters: cached }), call);
    await stageClaim(deps, stageRequest(volumeId), call);
    const clock = { now: () => node.now, pause: async () => undefined };
    const patient = { ...call, deadline: node.now + 60_000 };
    await expect(deleteClaim({ ...deps, clock }, { volumeId, secrets: new Map() }, patient)).rejects.toEqual(
      being("in-use"),
    );
    await unstageClaim(deps, { volumeId, path: staging }, call);
    expect(deps.claims.find(volumeId)).toBeDefined();
    expect(deps.flights.size).toBe(0);
  });

  it("lets go of what its policy was changed to discard", async () => {
    const node = new ClaimNode();
    const deps = await node.startClaims();
    const { volumeId } = await createClaim(deps, createRequest({ parameters: cached }), call);
    await use(node, deps, volumeId);
    await modifyClaim(deps, { volumeId, mutable: new Map([["policy", "discard"]]), secrets: new Map() });
    await deleteClaim(deps, { volumeId, secrets: new Map() }, call);
    expect(node.packs).toEqual([]);
    expect(await remains(node)).toEqual(nothing);
  });
});

describe("a stop after each step of a claim's life", () => {
  it("from create to confirmed write-back: recover, call again, same end", async () => {
    for (let stop = 0; ; stop++) {
      const node = new ClaimNode();
      const live = async (deps: Deps) => {
        const { volumeId } = await createClaim(deps, createRequest({ parameters: cached }), call);
        await use(node, deps, volumeId);
        await deleteClaim(deps, { volumeId, secrets: new Map() }, call);
      };
      const deps = await node.startClaims();
      node.stopAfter = node.effects + stop;
      const isDone = await live(deps).then(
        () => true,
        () => false,
      );
      node.stopAfter = undefined;
      const again = await node.startClaims();
      const left = [...again.claims.all.keys()];
      // What was begun is brought to its end, as the kubelet and a provisioner would.
      for (const volumeId of left) {
        const target = await targetRequest(node, volumeId);
        await unpublishClaim(again, target);
        await unstageClaim(again, { volumeId, path: staging }, call);
        await deleteClaim(again, { volumeId, secrets: new Map() }, call);
      }
      expect(await remains(node), `after ${stop} effects`).toEqual(nothing);
      if (isDone) {
        expect(stop).toBeGreaterThan(15);
        expect(node.pushes.length).toBe(1);
        return;
      }
    }
  });
});

describe("a stop after each step of an expansion", () => {
  it("leaves what a restart makes the limit of its Record, and what the same call makes the larger one", async () => {
    const [small, large] = [10 * 2 ** 20, 20 * 2 ** 20];
    const seen: number[] = [];
    for (let stop = 0, isDone = false; !isDone; stop++) {
      const node = new ClaimNode();
      const deps = await node.startClaims();
      const { volumeId } = await createClaim(deps, createRequest(), call);
      await stageClaim(deps, stageRequest(volumeId), call);
      const limit = async () => (await node.quotas.list()).map(({ limits }) => limits?.bytes);
      const size = { requiredBytes: large, limitBytes: 0 };
      node.stopAfter = node.effects + stop;
      isDone = await expandClaim(deps, { volumeId, path: staging, size }).then(
        () => true,
        () => false,
      );
      node.stopAfter = undefined;
      const again = await node.startClaims();
      const { bytes } = again.claims.require(volumeId);
      seen.push(bytes);
      expect(await limit(), `after ${stop} effects`).toEqual([bytes]);
      expect(await expandClaim(again, { volumeId, path: staging, size })).toEqual({ bytes: large });
      expect(await limit(), `after ${stop} effects`).toEqual([large]);
      expect(again.claims.require(volumeId).inodes).toBe(5120);
    }
    expect([seen[0], seen.at(-1)]).toEqual([small, large]);
    expect(seen.length).toBeGreaterThanOrEqual(3);
  });

  it("limits nothing again that is committed or let go", async () => {
    const node = new ClaimNode();
    const deps = await node.startClaims();
    const { volumeId } = await createClaim(deps, createRequest({ parameters: cached }), call);
    await use(node, deps, volumeId);
    const push = () => Promise.reject(new Failure("unavailable", "the registry is down"));
    const deleting = deleteClaim({ ...deps, push }, { volumeId, secrets: new Map() }, call);
    await expect(deleting).rejects.toEqual(being("unavailable"));
    const again = await node.startClaims();
    expect(again.claims.require(volumeId).commit).toBeDefined();
    expect((await node.quotas.list()).filter(({ limits }) => limits !== undefined)).toEqual([]);
  });
});

describe("a class that requires limits", () => {
  it("finds no room on a node without, and its claims are sent to another", async () => {
    const node = new ClaimNode();
    const deps = { ...(await node.startClaims()), limits: new Limits(undefined) };
    const parameters = new Map([["quota", "required"]]);
    const asked = { parameters, capabilities: [] };
    expect((await readCapacity(deps, asked)).availableBytes).toBe(0);
    expect((await readCapacity(deps, { ...asked, parameters: new Map() })).availableBytes).toBeGreaterThan(0);
    await expect(createClaim(deps, createRequest({ parameters }), call)).rejects.toEqual(being("full"));
    expect(await remains(node)).toEqual(nothing);
    await createClaim(deps, createRequest(), call);
  });
});
