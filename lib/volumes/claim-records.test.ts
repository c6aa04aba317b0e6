import { describe, expect, it } from "vitest";
import { claimIdOf } from "../core/claim-record.ts";
import { isFailure, type Reason } from "../core/failure.ts";
import { createClaim } from "./create-claim.ts";
import { deleteClaim } from "./delete-claim.ts";
import { publishClaim, unpublishClaim } from "./publish-claim.ts";
import { stageClaim } from "./stage-claim.ts";
import { ClaimNode, createRequest, stageRequest, staging, targetRequest } from "./testing/claims.ts";
import { call, root } from "./testing/node.ts";
import { unstageClaim } from "./unstage-claim.ts";

const being = (reason: Reason) => expect.toSatisfy((error) => isFailure(error, reason)) as unknown;
const volumeId = claimIdOf("pvc-1");
const file = `${root}/claims/${volumeId}`;

/** A node whose claim has a Record that this release cannot read, such as one of a newer release. */
async function withUnreadable(bytes: (before: string) => string) {
  const node = new ClaimNode();
  const before = await node.startClaims();
  await createClaim(before, createRequest(), call);
  await stageClaim(before, stageRequest(volumeId), call);
  const target = await targetRequest(node, volumeId);
  await publishClaim(before, target, call);
  const text = Buffer.from(await node.files.read(file)).toString();
  await node.files.writeAtomically(file, Buffer.from(bytes(text)), { durable: true });
  return { node, target, deps: await node.startClaims() };
}

const ofNewer = (text: string) => text.replace('"version":1', '"version":2');

describe("a claim whose Record cannot be read", () => {
  it("is not told to be deleted, since nobody knows what of it the registry is owed", async () => {
    for (const spoil of [ofNewer, () => "", (text: string) => text.slice(0, 40)]) {
      const { node, deps } = await withUnreadable(spoil);
      const spoilt = await node.files.read(file);
      await expect(deleteClaim(deps, { volumeId, secrets: new Map() }, call)).rejects.toEqual(
        being("unavailable"),
      );
      expect(await node.files.read(file)).toEqual(spoilt);
      expect((await node.files.list(`${root}/volumes/${volumeId}`)).map(({ name }) => name)).toContain(
        "upper",
      );
    }
  });

  it("is not made anew over what its pods wrote", async () => {
    const { node, deps } = await withUnreadable(ofNewer);
    const newer = await node.files.read(file);
    await expect(createClaim(deps, createRequest(), call)).rejects.toEqual(being("unavailable"));
    await expect(stageClaim(deps, stageRequest(volumeId), call)).rejects.toEqual(being("unavailable"));
    expect(await node.files.read(file)).toEqual(newer);
  });

  it("lets its pods end", async () => {
    const { node, deps, target } = await withUnreadable(ofNewer);
    await unpublishClaim(deps, target);
    await unstageClaim(deps, { volumeId, path: staging }, call);
    expect(await node.mounts.list()).toEqual([]);
  });
});

describe("ClaimRecords.remove()", () => {
  it("is for good: no power loss brings the Record of a claim back that is told to be deleted", async () => {
    const node = new ClaimNode();
    const deps = await node.startClaims();
    await createClaim(deps, createRequest(), call);
    await deleteClaim(deps, { volumeId, secrets: new Map() }, call);
    node.files.losePower();
    expect((await node.startClaims()).claims.all.size).toBe(0);
  });
});
