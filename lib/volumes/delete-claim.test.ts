import { describe, expect, it } from "vitest";
import { Failure, isFailure, type Reason } from "../core/failure.ts";
import { createClaim } from "./create-claim.ts";
import { deleteClaim } from "./delete-claim.ts";
import { expandClaim } from "./expand-claim.ts";
import { stageClaim } from "./stage-claim.ts";
import { ClaimNode, createRequest, stageRequest, staging } from "./testing/claims.ts";
import { call } from "./testing/node.ts";
import { unstageClaim } from "./unstage-claim.ts";

const being = (reason: Reason) => expect.toSatisfy((error) => isFailure(error, reason)) as unknown;
const cached = new Map([
  ["repository", "r.example/caches/${cache}"],
  ["cache", "m2"],
  ["when", "always"],
  ["push-deadline", "1h"],
]);
const HOUR = 3_600_000;
type Deps = Awaited<ReturnType<ClaimNode["startClaims"]>>;

async function use(deps: Deps, name: string): Promise<string> {
  const { volumeId } = await createClaim(deps, createRequest({ name, parameters: cached }), call);
  await stageClaim(deps, stageRequest(volumeId), call);
  await unstageClaim(deps, { volumeId, path: staging }, call);
  return volumeId;
}

/** Whose pushes the registry takes with a password alone. */
function guarded(deps: Deps): Deps {
  return {
    ...deps,
    push: async (record, packed, told) => {
      if (!told.secrets.has("password")) throw new Failure("denied", "Cannot push: denied");
      return await deps.push(record, packed, told);
    },
  };
}

const secrets = new Map([["password", "p"]]);

describe("deleteClaim()", () => {
  it("takes what a stop of the plugin cuts short for no failure: nothing is let go for it", async () => {
    const node = new ClaimNode();
    const deps = await node.startClaims();
    const stopping = new AbortController();
    const push = async () => {
      stopping.abort(new Error("the plugin stops"));
      return await Promise.reject(new Failure("unavailable", "could not be asked while the plugin stops"));
    };
    const parameters = new Map([...cached, ["push-deadline", "0s"]]);
    const { volumeId } = await createClaim(deps, createRequest({ parameters }), call);
    await stageClaim(deps, stageRequest(volumeId), call);
    await unstageClaim(deps, { volumeId, path: staging }, call);
    const request = { volumeId, secrets };
    const stopped = deleteClaim({ ...deps, push, signal: stopping.signal }, request, call);
    await expect(stopped).rejects.toEqual(being("unavailable"));
    const again = await node.startClaims();
    expect(again.claims.require(volumeId)).toMatchObject({ commit: {} });
    await deleteClaim(again, request, call);
    expect(node.pushes).toEqual([volumeId]);
  });

  it("loses nothing of what a claim was built on for the secrets of that claim, whatever the deadline", async () => {
    const node = new ClaimNode();
    const deps = guarded(await node.startClaims());
    const below = await use(deps, "below");
    await expect(deleteClaim(deps, { volumeId: below, secrets: new Map() }, call)).rejects.toEqual(
      being("denied"),
    );
    const above = await use(deps, "above");
    expect(deps.claims.require(above).base).toMatchObject({ origin: "local" });
    node.now += HOUR;
    await expect(deleteClaim(deps, { volumeId: above, secrets: new Map() }, call)).rejects.toEqual(
      being("denied"),
    );
    expect(deps.claims.require(below).letGo).toBeUndefined();
    await deleteClaim(deps, { volumeId: below, secrets }, call);
    expect(node.pushes).toEqual([below]);
    await deleteClaim(deps, { volumeId: above, secrets }, call);
    expect(node.pushes).toEqual([below, above]);
  });

  it("counts no restart of the node after the commit against it, staged or not by its Record", async () => {
    const node = new ClaimNode();
    const deps = guarded(await node.startClaims());
    const parameters = new Map([...cached, ["durability", "volatile"]]);
    const { volumeId } = await createClaim(deps, createRequest({ parameters }), call);
    await stageClaim(deps, stageRequest(volumeId), call);
    // By hand: no unstage says so.
    await node.mounts.unmount(staging);
    await expect(deleteClaim(deps, { volumeId, secrets: new Map() }, call)).rejects.toEqual(being("denied"));
    node.files.losePower();
    await deleteClaim(deps, { volumeId, secrets }, call);
    expect(node.pushes).toEqual([volumeId]);
  });

  it("is not hindered by an expansion: what was committed has no limit any more", async () => {
    const node = new ClaimNode();
    const deps = guarded(await node.startClaims());
    const volumeId = await use(deps, "one");
    await expect(deleteClaim(deps, { volumeId, secrets: new Map() }, call)).rejects.toEqual(being("denied"));
    const size = { requiredBytes: 2 ** 30, limitBytes: 0 };
    await expect(expandClaim(deps, { volumeId, path: staging, size })).rejects.toEqual(being("busy"));
    const limited = (await node.quotas.list()).filter(({ limits }) => limits !== undefined);
    expect(limited).toEqual([]);
  });
});
