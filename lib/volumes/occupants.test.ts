// Calls that name the path of another volume, or a path in its other use: refused or left, and nothing there is touched.
import { beforeEach, describe, expect, it } from "vitest";
import { isFailure, type Reason } from "../core/failure.ts";
import { createClaim } from "./create-claim.ts";
import { publishClaim, unpublishClaim } from "./publish-claim.ts";
import { stageClaim } from "./stage-claim.ts";
import { ClaimNode, createRequest, stageRequest, staging, targetRequest } from "./testing/claims.ts";
import { call } from "./testing/node.ts";
import { unstageClaim } from "./unstage-claim.ts";

const being = (reason: Reason) => expect.toSatisfy((error) => isFailure(error, reason)) as unknown;
const elsewhere = "/var/lib/kubelet/plugins/kubernetes.io/csi/d/y/globalmount";

let node: ClaimNode;
let deps: Awaited<ReturnType<ClaimNode["startClaims"]>>;
let one: string;
let other: string;
/** Where a pod has the one. */
let target: string;
beforeEach(async () => {
  node = new ClaimNode();
  deps = await node.startClaims();
  one = (await createClaim(deps, createRequest({ name: "one" }), call)).volumeId;
  other = (await createClaim(deps, createRequest({ name: "other" }), call)).volumeId;
  await stageClaim(deps, stageRequest(one), call);
  const request = await targetRequest(node, one);
  target = request.target;
  await publishClaim(deps, request, call);
});

async function leaving(attack: () => Promise<void>): Promise<void> {
  const seen = async () => [await node.mounts.list(), deps.claims.require(one)];
  const before = await seen();
  await attack();
  expect(await seen()).toEqual(before);
}

const publishing = async (volumeId: string, at: string, stagingPath: string) => {
  const request = { ...(await targetRequest(node, volumeId)), target: at, stagingPath };
  await publishClaim(deps, request, call);
};

describe("stageClaim()", () => {
  it("refuses a path where another claim is staged, or where a pod has it", async () => {
    for (const path of [staging, target])
      await leaving(async () => {
        await expect(stageClaim(deps, { ...stageRequest(other), path }, call)).rejects.toEqual(
          being("conflict"),
        );
      });
    await stageClaim(deps, { ...stageRequest(other), path: elsewhere }, call);
  });

  it("refuses a second path while it is staged at the first, mounted twice it would not know of itself", async () => {
    await stageClaim(deps, { ...stageRequest(other), path: elsewhere }, call);
    const second = { ...stageRequest(other), path: `${elsewhere}-2` };
    const before = await node.mounts.list();
    await expect(stageClaim(deps, second, call)).rejects.toEqual(being("conflict"));
    expect(await node.mounts.list()).toEqual(before);
    await unstageClaim(deps, { volumeId: other, path: elsewhere }, call);
    await stageClaim(deps, second, call);
  });

  it("lets of two claims that are staged at one path at once only one be mounted there", async () => {
    const third = (await createClaim(deps, createRequest({ name: "third" }), call)).volumeId;
    const ends = await Promise.allSettled(
      [other, third].map(
        async (volumeId) => await stageClaim(deps, { ...stageRequest(volumeId), path: elsewhere }, call),
      ),
    );
    expect(ends.map(({ status }) => status).sort()).toEqual(["fulfilled", "rejected"]);
    expect(ends.find(({ status }) => status === "rejected")).toMatchObject({ reason: being("busy") });
    expect(await node.mounts.at(elsewhere)).toHaveLength(1);
  });

  it("never mounts a second time what a pod has, though its staging path was unmounted by hand", async () => {
    await node.mounts.unmount(staging);
    await leaving(async () => {
      await expect(stageClaim(deps, stageRequest(one), call)).rejects.toEqual(being("in-use"));
    });
    const second = await targetRequest(node, one, "pod-2");
    await expect(publishClaim(deps, second, call)).rejects.toEqual(being("in-use"));
    await unpublishClaim(deps, { volumeId: one, target });
    await stageClaim(deps, stageRequest(one), call);
    await publishClaim(deps, second, call);
  });
});

describe("publishClaim()", () => {
  it("refuses a path where a claim is staged, another or itself", async () => {
    await stageClaim(deps, { ...stageRequest(other), path: elsewhere }, call);
    await leaving(async () => {
      await expect(publishing(other, staging, elsewhere)).rejects.toEqual(being("conflict"));
      await expect(publishing(one, staging, staging)).rejects.toEqual(being("conflict"));
    });
  });
});

describe("unpublishClaim()", () => {
  it("leaves a path where a claim is staged, whichever", async () => {
    await leaving(async () => {
      for (const volumeId of [one, other, "claim-unknown"])
        await unpublishClaim(deps, { volumeId, target: staging });
    });
    expect(node.log.lines).toContainEqual(expect.objectContaining({ path: staging, other: one }));
  });
});

describe("unstageClaim()", () => {
  it("leaves what another claim has there, and where a pod has this one", async () => {
    await leaving(async () => {
      for (const path of [staging, target]) await unstageClaim(deps, { volumeId: other, path }, call);
      await unstageClaim(deps, { volumeId: one, path: target }, call);
    });
  });

  it("refuses while a pod has it, whose writes would be in nothing that is committed", async () => {
    await leaving(async () => {
      await expect(unstageClaim(deps, { volumeId: one, path: staging }, call)).rejects.toEqual(
        being("in-use"),
      );
    });
    await unpublishClaim(deps, { volumeId: one, target });
    await unstageClaim(deps, { volumeId: one, path: staging }, call);
    expect(await node.mounts.list()).toEqual([]);
  });
});
