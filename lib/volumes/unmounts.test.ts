import { describe, expect, it } from "vitest";
import { isFailure, type Reason } from "../core/failure.ts";
import { MemoryMounts } from "../host/mounts.fake.ts";
import { createClaim } from "./create-claim.ts";
import { deleteClaim } from "./delete-claim.ts";
import { publishClaim, unpublishClaim } from "./publish-claim.ts";
import { stageClaim } from "./stage-claim.ts";
import { ClaimNode, createRequest, stageRequest, staging, targetRequest } from "./testing/claims.ts";
import { call } from "./testing/node.ts";
import { Unmounts } from "./unmounts.ts";
import { unstageClaim } from "./unstage-claim.ts";

const being = (reason: Reason) => expect.toSatisfy((error) => isFailure(error, reason)) as unknown;

/** As the kernel does: the table has lost the mount at once, and what was written is synced then. */
class SlowMounts extends MemoryMounts {
  unmounts = 0;
  synced = Promise.withResolvers<void>();

  override async unmount(target: string): Promise<boolean> {
    if (target !== staging) return await super.unmount(target);
    this.unmounts++;
    const was = await super.unmount(target);
    await this.synced.promise;
    return was;
  }
}

/** A claim that a pod has used, and that is to be unstaged; callers have no patience. */
async function start() {
  const node = new ClaimNode();
  const mounts = new SlowMounts();
  const plain = await node.startClaims();
  const clock = { now: () => node.now, pause: async () => undefined };
  const deps = { ...plain, mounts, unmounts: new Unmounts(), clock };
  const { volumeId } = await createClaim(deps, createRequest(), call);
  const target = await targetRequest(node, volumeId);
  await stageClaim(deps, stageRequest(volumeId), call);
  await publishClaim(deps, target, call);
  await unpublishClaim(deps, target);
  const soon = { ...call, deadline: node.now + 1_000 };
  const unstage = (how = soon) => unstageClaim(deps, { volumeId, path: staging }, how);
  return { deps, mounts, volumeId, target, soon, unstage };
}

describe("an unmount that outlives its call", () => {
  it("answers pending, says that it syncs, and is joined: the volume is staged until it has ended", async () => {
    const { deps, mounts, volumeId, unstage } = await start();
    for (let calls = 0; calls < 3; calls++) {
      const refused = unstage();
      await expect(refused).rejects.toEqual(being("pending"));
      await expect(refused).rejects.toThrow("is being synced");
      expect(await mounts.at(staging)).toEqual([]);
      expect(deps.claims.require(volumeId).stage?.path).toBe(staging);
    }
    const patient = unstage(call);
    mounts.synced.resolve();
    await patient;
    expect(mounts.unmounts).toBe(1);
    expect(deps.claims.require(volumeId).stage).toBeUndefined();
  });

  it("lets nobody stage, publish or delete the volume meanwhile", async () => {
    const { deps, mounts, volumeId, target, soon, unstage } = await start();
    await expect(unstage()).rejects.toEqual(being("pending"));
    await expect(stageClaim(deps, stageRequest(volumeId), call)).rejects.toEqual(being("busy"));
    await expect(publishClaim(deps, target, call)).rejects.toEqual(being("busy"));
    const request = { volumeId, secrets: new Map() };
    for (const how of [call, soon])
      await expect(deleteClaim(deps, request, how)).rejects.toEqual(being("in-use"));
    expect(await mounts.at(staging)).toEqual([]);
    mounts.synced.resolve();
    await unstage(call);
    await stageClaim(deps, stageRequest(volumeId), call);
    expect(await mounts.at(staging)).toHaveLength(1);
  });

  it("is waited for by a deletion, which goes on once the call that joins it is done", async () => {
    const { deps, mounts, volumeId, unstage } = await start();
    await expect(unstage()).rejects.toEqual(being("pending"));
    const clock = { ...deps.clock, pause: () => new Promise<void>(() => undefined) };
    const patient = { ...call, deadline: deps.clock.now() + 60_000 };
    const deleting = deleteClaim({ ...deps, clock }, { volumeId, secrets: new Map() }, patient);
    await Promise.race([deleting, new Promise((resolve) => setImmediate(resolve))]);
    expect(deps.claims.find(volumeId)).toBeDefined();
    mounts.synced.resolve();
    await unstage(call);
    await deleting;
    expect(deps.claims.find(volumeId)).toBeUndefined();
  });

  it("that fails is tried again by the next call", async () => {
    const { deps, mounts, volumeId, unstage } = await start();
    const busy = mounts.hold(staging);
    await expect(unstage(call)).rejects.toEqual(being("in-use"));
    busy[Symbol.dispose]();
    mounts.synced.resolve();
    await unstage(call);
    expect(mounts.unmounts).toBe(2);
    expect(deps.claims.require(volumeId).stage).toBeUndefined();
  });
});
