import { describe, expect, it } from "vitest";
import type { Access } from "../core/access.ts";
import { digestOf } from "../core/digest.ts";
import { Failure, type Reason } from "../core/failure.ts";
import type { FetchedTag } from "../registry/reader.ts";
import { parseNode } from "../settings/node.ts";
import { createClaim } from "./create-claim.ts";
import { stageClaim } from "./stage-claim.ts";
import { ClaimNode, createRequest, stageRequest, staging } from "./testing/claims.ts";
import { call } from "./testing/node.ts";
import { unstageClaim } from "./unstage-claim.ts";

const cached = new Map([
  ["repository", "r.example/caches/${cache}"],
  ["cache", "m2"],
  ["when", "always"],
  ["base-deadline", "0s"],
]);

function headOf(): FetchedTag {
  const descriptor = JSON.stringify({ mediaType: "a/b", digest: digestOf("x"), size: 1 });
  const bytes = Buffer.from(`{"schemaVersion":2,"config":${descriptor},"layers":[${descriptor}]}`);
  const mediaType = "application/vnd.oci.image.manifest.v1+json";
  return { bytes, mediaType, digest: digestOf(bytes), source: { kind: "upstream", host: "r.example" } };
}

/** The base of a claim whose credentials, tried in this order, are answered so. */
async function baseFor(answers: ReadonlyArray<Reason | FetchedTag>) {
  const before = await new ClaimNode().startClaims();
  const names = answers.map((_, at) => `user-${at}`);
  const accessOf = (username: string): Access => ({
    host: "r.example",
    repository: "caches/m2",
    credentials: { kind: "basic", username, password: "p" },
  });
  const deps = {
    ...before,
    keyring: { accessesFor: async () => names.map(accessOf) },
    trees: {
      ...before.trees,
      fetchTag: async ({ credentials }: Access) => {
        const username = credentials?.kind === "basic" ? credentials.username : "";
        const answer = answers[names.indexOf(username)] ?? "denied";
        if (typeof answer === "string") throw new Failure(answer, `Cannot read: ${answer}`);
        return answer;
      },
    },
  };
  const { volumeId } = await createClaim(deps, createRequest({ parameters: cached }), call);
  await stageClaim(deps, stageRequest(volumeId), call);
  const { base } = deps.claims.require(volumeId);
  return { origin: base?.origin, isTainted: base?.isTainted };
}

describe("stageClaim()", () => {
  it("asks all its credentials before a cache counts as empty, since registries disguise refusals", async () => {
    expect(await baseFor(["not-found", headOf()])).toEqual({ origin: "head", isTainted: false });
    expect(await baseFor(["denied", headOf()])).toEqual({ origin: "head", isTainted: false });
    expect(await baseFor(["not-found", "not-found"])).toEqual({ origin: "empty", isTainted: false });
  });

  it("takes a cache that refuses the most promising of them for refused, not for empty", async () => {
    expect(await baseFor(["denied", "not-found"])).toEqual({ origin: "empty", isTainted: true });
    expect(await baseFor(["not-found", "denied"])).toEqual({ origin: "empty", isTainted: false });
  });

  it("asks for a base that is gone in the way that the claim's class says", async () => {
    const node = new ClaimNode();
    node.head = headOf();
    const { registries } = parseNode("registries: [{ match: r.example, allowPlainHttp: true }]", {
      LARDER_NODE: "node-1",
    });
    const deps = { ...(await node.startClaims()), registries };
    const parameters = new Map([...cached, ["plain-http", "true"]]);
    const { volumeId } = await createClaim(deps, createRequest({ parameters }), call);
    await stageClaim(deps, stageRequest(volumeId), call);
    await unstageClaim(deps, { volumeId, path: staging }, call);
    const [first] = node.asked.splice(0);
    let looks = 0;
    const contents = (layers: Parameters<typeof deps.trees.contents>[0]) =>
      looks++ === 0 ? undefined : deps.trees.contents(layers);
    await stageClaim({ ...deps, trees: { ...deps.trees, contents } }, stageRequest(volumeId), call);
    expect(first?.accesses).toMatchObject([{ plainHttp: true }]);
    expect(node.asked).toMatchObject([{ accesses: first?.accesses }]);
  });
});
