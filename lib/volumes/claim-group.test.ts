import { describe, expect, it } from "vitest";
import { digestOf } from "../core/digest.ts";
import { isFailure, type Reason } from "../core/failure.ts";
import { groupedLayerId } from "../core/layer-id.ts";
import { placesOf } from "./claim-disk.ts";
import { createClaim } from "./create-claim.ts";
import { deleteClaim } from "./delete-claim.ts";
import { publishClaim, unpublishClaim } from "./publish-claim.ts";
import type { PublishRequest } from "./requests.ts";
import { stageClaim } from "./stage-claim.ts";
import { ClaimNode, createRequest, stageRequest, staging, targetRequest } from "./testing/claims.ts";
import { call, root, severalLayers } from "./testing/node.ts";
import { unstageClaim } from "./unstage-claim.ts";

const being = (reason: Reason) => expect.toSatisfy((error) => isFailure(error, reason)) as unknown;
/** Starts from what a registry has, and is written back. */
const based = new Map([
  ["repository", "r.example/caches/${cache}"],
  ["cache", "m2"],
  ["policy", "push"],
  ["when", "always"],
  ["from", "r.example/base:v1"],
]);
const layers = severalLayers.map((layer) => digestOf(layer)).toReversed();
const grouped = (gid: number) => layers.map((layer) => groupedLayerId(layer, gid));
type Deps = Awaited<ReturnType<ClaimNode["startClaims"]>>;

class Claim {
  readonly node: ClaimNode;
  readonly deps: Deps;
  readonly volumeId: string;

  constructor(node: ClaimNode, deps: Deps, volumeId: string) {
    this.node = node;
    this.deps = deps;
    this.volumeId = volumeId;
  }

  static async create(parameters: ReadonlyMap<string, string> = based): Promise<Claim> {
    const node = new ClaimNode();
    node.layers = severalLayers;
    const deps = await node.startClaims();
    const { volumeId } = await createClaim(deps, createRequest({ parameters }), call);
    return new Claim(node, deps, volumeId);
  }

  get record() {
    return this.deps.claims.require(this.volumeId);
  }

  get upper() {
    return placesOf(root, this.record).upper;
  }

  async stage(group?: string): Promise<void> {
    await stageClaim(this.deps, stageRequest(this.volumeId, group), call);
  }

  async unstage(): Promise<void> {
    await unstageClaim(this.deps, { volumeId: this.volumeId, path: staging }, call);
  }

  async request(pod: string, group = ""): Promise<PublishRequest> {
    const request = await targetRequest(this.node, this.volumeId, pod);
    return { ...request, capability: { ...request.capability, mountGroup: group } };
  }

  async publish(pod: string, group?: string, deps: Deps = this.deps): Promise<void> {
    await publishClaim(deps, await this.request(pod, group), call);
  }

  async unpublish(pod: string): Promise<void> {
    await unpublishClaim(this.deps, await this.request(pod));
  }

  /** The ids of the Layers that it is mounted over, the lowest first. */
  async lower(): Promise<readonly string[]> {
    const [mount] = await this.node.mounts.at(staging);
    const options = mount?.options.split(",") ?? [];
    const lower = options.filter((option) => option.startsWith("lowerdir+="));
    return lower.map((option) => option.slice("lowerdir+=".length)).toReversed();
  }
}

describe("stageClaim() for pods of a group", () => {
  it("mounts it over its base made over for the group, and gives the group what pods write to", async () => {
    const claim = await Claim.create();
    await claim.stage("7");
    await claim.publish("a", "7");
    expect(claim.record.base?.layers).toEqual(layers);
    expect(claim.record.group).toEqual({ gid: 7, layers: grouped(7), isApplied: true });
    expect(await claim.lower()).toEqual(grouped(7));
    expect(claim.node.groups.events).toEqual(["give 7"]);
    expect([claim.node.leases, claim.node.groups.leases]).toEqual([0, 0]);
    expect(claim.node.held.get(claim.volumeId)).toEqual(expect.arrayContaining([...layers, ...grouped(7)]));
  });

  it("does nothing where the base and its root are the group's already", async () => {
    const claim = await Claim.create();
    for (const at of [layers.at(-1) ?? "", claim.upper]) claim.node.groups.owners.set(at, 7);
    await claim.stage("7");
    expect(claim.record.group).toBeUndefined();
    expect(await claim.lower()).toEqual(layers);
    expect(claim.node.groups.events).toEqual([]);
  });

  it.each([
    ["has no group", undefined],
    ["has the same", "7"],
  ])("leaves it as it is for a later pod that %s", async (_what, group) => {
    const claim = await Claim.create();
    await claim.stage("7");
    await claim.unstage();
    await claim.stage(group);
    await claim.publish("b", group);
    expect(await claim.lower()).toEqual(grouped(7));
    expect(claim.node.groups.events).toEqual(["give 7"]);
  });

  it("never mounts what one group wrote over what was made over for another", async () => {
    const claim = await Claim.create();
    await claim.stage();
    expect(await claim.lower()).toEqual(layers);
    for (const gid of [7, 8, 7]) {
      await claim.unstage();
      await claim.stage(`${gid}`);
      expect(await claim.lower()).toEqual(grouped(gid));
      expect(claim.node.groups.owners.get(claim.upper)).toBe(gid);
      expect(claim.record.base?.layers).toEqual(layers);
    }
    expect(claim.node.groups.events).toEqual(["give 7", "give 8", "give 7"]);
  });

  it.each([
    ["of an empty claim", new Map()],
    ["of a copy", new Map([...based, ["layout", "copy"]])],
  ])("makes no base over %s, where all is what pods write to", async (_what, parameters) => {
    const claim = await Claim.create(parameters);
    await claim.stage("7");
    expect(claim.record.group).toEqual({ gid: 7, layers: [], isApplied: true });
    expect(claim.node.groups.events).toEqual(["give 7"]);
  });

  it("answers pending while the base is made over, and the next call has it", async () => {
    const claim = await Claim.create();
    const { deps } = claim;
    const [asked, made] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    const slow: Deps = {
      ...deps,
      clock: { now: () => 0, pause: async () => await asked.promise },
      groupedLayers: {
        lease: async (...wanted) => {
          asked.resolve();
          await made.promise;
          return await deps.groupedLayers.lease(...wanted);
        },
      },
    };
    const hurried = { ...call, deadline: 1000 };
    await expect(stageClaim(slow, stageRequest(claim.volumeId, "7"), hurried)).rejects.toThrow(
      `Making the base of the volume "${claim.volumeId}" over for the group 7`,
    );
    expect(claim.record.group).toBeUndefined();
    made.resolve();
    await claim.stage("7");
    expect(await claim.lower()).toEqual(grouped(7));
  });

  it("refuses what is no group, and does nothing", async () => {
    const claim = await Claim.create();
    await expect(claim.stage("staff")).rejects.toEqual(being("invalid"));
    expect(claim.record.base).toBeUndefined();
    await claim.stage();
    await expect(claim.publish("a", "-1")).rejects.toEqual(being("invalid"));
  });
});

describe("publishClaim() for pods of another group", () => {
  it("makes it over where nobody else uses it, and mounts it anew", async () => {
    const claim = await Claim.create();
    await claim.stage("7");
    await claim.publish("a", "7");
    await claim.unpublish("a");
    await claim.publish("b", "8");
    expect(await claim.lower()).toEqual(grouped(8));
    expect(await claim.node.mounts.at(staging)).toHaveLength(1);
    expect(claim.record.group).toEqual({ gid: 8, layers: grouped(8), isApplied: true });
    expect(claim.record.stage?.path).toBe(staging);
  });

  it.each([
    ["7", "pods of the group 7 use it"],
    ["", "pods without a group use it"],
  ])("refuses in words while others (of the group %j) use it, and changes nothing", async (group, words) => {
    const claim = await Claim.create();
    await claim.stage(group);
    await claim.publish("a", group);
    const before = claim.record;
    const refused = claim.publish("b", "8");
    await expect(refused).rejects.toEqual(being("in-use"));
    await expect(refused).rejects.toThrow(words);
    expect(claim.record).toEqual(before);
    expect((await claim.node.mounts.at((await claim.request("a")).target)).length).toBe(1);
    await claim.publish("c", group);
    await claim.publish("d");
    for (const pod of ["a", "c", "d"]) await claim.unpublish(pod);
    await claim.publish("b", "8");
    expect(claim.record.group?.gid).toBe(8);
  });

  it("is refused while what is staged is busy, and leaves it for its group", async () => {
    const claim = await Claim.create();
    await claim.stage("7");
    {
      using _held = claim.node.mounts.hold(staging);
      await expect(claim.publish("b", "8")).rejects.toEqual(being("in-use"));
      expect(claim.record.group?.gid).toBe(7);
    }
    await claim.publish("b", "8");
    expect(await claim.lower()).toEqual(grouped(8));
  });
});

describe("deleteClaim() of a claim of a group", () => {
  it("takes the group back before the changes become a Layer", async () => {
    const claim = await Claim.create();
    await claim.stage("7");
    await claim.unstage();
    await deleteClaim(claim.deps, { volumeId: claim.volumeId, secrets: new Map() }, call);
    expect(claim.node.groups.events).toEqual(["give 7", `take 7 over ${layers.length}`]);
    expect([claim.node.packs.length, claim.node.pushes.length]).toEqual([1, 1]);
  });
});

async function end(claim: Claim): Promise<void> {
  for (const pod of ["a", "b"]) await claim.unpublish(pod);
  await claim.unstage();
  await deleteClaim(claim.deps, { volumeId: claim.volumeId, secrets: new Map() }, call);
}

describe("a stop after each step of a claim that two groups use", () => {
  it("recover, call again, same end: for one group alone, and taken back once it is committed", async () => {
    for (let stop = 0; ; stop++) {
      const node = new ClaimNode();
      node.layers = severalLayers;
      const live = async (deps: Deps) => {
        const { volumeId } = await createClaim(deps, createRequest({ parameters: based }), call);
        const claim = new Claim(node, deps, volumeId);
        await claim.stage("7");
        await claim.publish("a", "7");
        await claim.unpublish("a");
        await claim.publish("b", "8");
        expect(await claim.lower()).toEqual(grouped(8));
        expect(node.groups.owners.get(claim.upper)).toBe(8);
        await end(claim);
      };
      const deps = await node.startClaims();
      node.stopAfter = node.effects + stop;
      const isDone = await live(deps).then(
        () => true,
        () => false,
      );
      node.stopAfter = undefined;
      const again = await node.startClaims();
      // What was begun is brought to its end, as the kubelet and a provisioner would.
      for (const { volumeId, deletedMs, stage } of again.claims.all.values()) {
        const claim = new Claim(node, again, volumeId);
        for (const pod of ["a", "b"]) await claim.unpublish(pod);
        if (deletedMs === undefined && stage !== undefined) {
          await claim.stage("7");
          await claim.publish("a", "7");
          expect(await claim.lower(), `after ${stop} effects`).toEqual(grouped(claim.record.group?.gid ?? 0));
        }
        await end(claim);
      }
      expect(again.claims.all.size, `after ${stop} effects`).toBe(0);
      expect(node.groups.owners.size, `after ${stop} effects`).toBe(0);
      expect(await node.mounts.list()).toEqual([]);
      if (isDone) {
        expect(stop).toBeGreaterThan(30);
        return;
      }
    }
  });
});
