import { describe, expect, it } from "vitest";
import type { Access } from "../core/access.ts";
import { versionTag } from "../core/cache-key.ts";
import { composeVersion } from "../core/cache-manifest.ts";
import { digestOf } from "../core/digest.ts";
import { Failure, isFailure, type Reason } from "../core/failure.ts";
import type { Reference } from "../core/reference.ts";
import type { FetchedTag } from "../registry/reader.ts";
import { createClaim } from "./create-claim.ts";
import { readKnownHead, writeKnownHead } from "./known-heads.ts";
import { stageClaim } from "./stage-claim.ts";
import { ClaimNode, createRequest, stageRequest } from "./testing/claims.ts";
import { call } from "./testing/node.ts";

type Deps = Awaited<ReturnType<ClaimNode["startClaims"]>>;

const being = (reason: Reason) => expect.toSatisfy((error) => isFailure(error, reason)) as unknown;
const cache = { host: "r.example", repository: "caches/m2", key: "main", restoreKeys: [] };
const NOW = 1_700_000_000_000;
const down = new Failure("unavailable", "Cannot reach r.example: connection refused");

function headOf(timeMs: number, bytes = 10, key = "main"): FetchedTag {
  const platform = { os: "linux", architecture: "amd64" };
  const layer = { mediaType: "application/vnd.oci.image.layer.v1.tar+zstd", digest: digestOf("l"), size: 1 };
  const layers = [{ ...layer, diffId: digestOf("d"), isWritten: true }];
  const version = { timeMs: NOW + timeMs, id: "other" };
  const { manifest } = composeVersion({ key, version, bytes, isKeyless: false, platform, layers });
  return { ...manifest, source: { kind: "upstream", host: "r.example" } };
}

function wish(more: Readonly<Record<string, string>> = {}) {
  const said = { repository: "r.example/caches/${cache}", cache: "m2", key: "main", ...more };
  return createRequest({ parameters: new Map(Object.entries(said)) });
}

const warningOf = ({ context }: { readonly context: ReadonlyMap<string, string> }) => context.get("warning");
const warnings = (node: ClaimNode) => node.log.lines.filter(({ level }) => level === "warn");

async function start(change: Partial<ClaimNode> = {}): Promise<{ node: ClaimNode; deps: Deps }> {
  const node = Object.assign(new ClaimNode(), change);
  return { node, deps: await node.startClaims() };
}

/** Who brings a password asks with it. */
const keyring = {
  accessesFor: async (
    { host, repository }: Pick<Access, "host" | "repository">,
    { password }: Readonly<Record<string, string>>,
  ): Promise<readonly Access[]> => [
    {
      host,
      repository,
      ...(password === undefined ? {} : { credentials: { kind: "basic", username: "u", password } }),
    },
  ],
};
const secret = (password: string) => ({ secrets: new Map([["password", password]]) });

describe("lookForBase() while a claim is made", () => {
  it("begins the pull of the head, which the first stage takes without another question", async () => {
    const { node, deps } = await start({ head: headOf(1) });
    const made = await createClaim(deps, wish(), call);
    expect(warningOf(made)).toBeUndefined();
    const digest = node.head?.digest;
    expect(node.begun).toMatchObject([{ reference: { ...wishless, digest } }]);
    await stageClaim(deps, stageRequest(made.volumeId), call);
    expect(node.headAsked).toHaveLength(1);
    expect(node.asked).toMatchObject([{ reference: { digest } }]);
    const { base, look } = deps.claims.require(made.volumeId);
    expect([base?.origin, base?.version?.timeMs, base?.isTainted, look]).toEqual([
      "head",
      NOW + 1,
      false,
      undefined,
    ]);
  });

  it("takes a cache that does not exist yet for empty at the first stage too, and warns of nothing", async () => {
    const { node, deps } = await start();
    const made = await createClaim(deps, wish(), call);
    await stageClaim(deps, stageRequest(made.volumeId), call);
    expect([made.context.size, node.headAsked.length, warnings(node)]).toEqual([0, 1, []]);
    expect(deps.claims.require(made.volumeId).base).toMatchObject({ origin: "empty", isTainted: false });
  });

  it.each([
    ["cannot be reached", down],
    ["lets nobody in", new Failure("denied", "Cannot read it: the registry answered 401")],
    ["has something broken", new Failure("corrupt", "Cannot read it: its manifest is no JSON")],
  ])(
    "tells in the context and once in the log that the registry %s; the first stage asks again",
    async (_, trouble) => {
      const { node, deps } = await start({ trouble, head: headOf(1) });
      const made = await createClaim(deps, wish(), call);
      expect(warningOf(made)).toContain(trouble.message);
      expect(warningOf(made)).toContain("its first stage looks again");
      expect(await createClaim(deps, wish(), call)).toEqual(made);
      expect(node.headAsked).toHaveLength(1);
      expect(warnings(node)).toMatchObject([{ message: warningOf(made), volume: made.volumeId }]);
      await expect(stageClaim(deps, stageRequest(made.volumeId), call)).rejects.toThrow(trouble.message);
      node.trouble = undefined;
      await stageClaim(deps, stageRequest(made.volumeId), call);
      expect(deps.claims.require(made.volumeId).base).toMatchObject({ origin: "head", isTainted: false });
    },
  );

  it("restores past what cannot be read under a version's tag, like past all that is none of ours", async () => {
    const { deps } = await start();
    const [spoilt, whole] = [10, 1].map((timeMs) =>
      versionTag("dev", { timeMs: NOW + timeMs, id: "other" }),
    ) as [string, string];
    const manifests = new Map([
      [spoilt, { ...headOf(10), bytes: Buffer.from(`{"schemaVersion":2,"layers":"none"}`) }],
      [whole, headOf(1, 10, "dev")],
    ]);
    const fetchTag = async (_: Access, { tag = "" }: Reference) => {
      const found = manifests.get(tag);
      if (found === undefined) throw new Failure("not-found", "Cannot resolve it");
      return found;
    };
    const asked = {
      ...deps,
      listTags: async () => [...manifests.keys()],
      trees: { ...deps.trees, fetchTag },
    };
    const made = await createClaim(asked, wish({ "restore-keys": "dev" }), call);
    expect(warningOf(made)).toBeUndefined();
    await stageClaim(asked, stageRequest(made.volumeId), call);
    const { base } = deps.claims.require(made.volumeId);
    expect(base).toMatchObject({ origin: "restore", isTainted: false, version: { timeMs: NOW + 1 } });
  });

  it("gives the same answer after a restart, and asks again at the first stage then", async () => {
    const { node, deps } = await start({ trouble: down });
    const made = await createClaim(deps, wish(), call);
    node.trouble = undefined;
    node.head = headOf(1);
    const well = await createClaim(deps, { ...wish(), name: "well" }, call);
    const again = await node.startClaims();
    expect(await createClaim(again, wish(), call)).toEqual(made);
    expect(await createClaim(again, { ...wish(), name: "well" }, call)).toEqual(well);
    expect(node.headAsked).toHaveLength(2);
    await stageClaim(again, stageRequest(well.volumeId), call);
    expect(node.headAsked).toHaveLength(3);
  });

  it("answers under fail-on-miss too, with a warning: it is the stage that refuses", async () => {
    const { deps } = await start();
    const request = wish({ "fail-on-miss": "true" });
    const made = await createClaim(deps, request, call);
    expect(warningOf(made)).toContain("which must have a base");
    await expect(stageClaim(deps, stageRequest(made.volumeId), call)).rejects.toEqual(being("not-found"));
  });

  it("says that a head outgrew max-size, and says it once", async () => {
    const { node, deps } = await start({ head: headOf(1, 2 ** 30) });
    const made = await createClaim(deps, wish({ "max-size": "1Mi" }), call);
    expect(warningOf(made)).toMatch(/starts empty: its cache .* more than its max-size/);
    await stageClaim(deps, stageRequest(made.volumeId), call);
    expect(warnings(node)).toHaveLength(1);
    expect(deps.claims.require(made.volumeId).base).toMatchObject({ origin: "empty", isTainted: false });
  });

  it("tells of a seed that cannot be had", async () => {
    const { deps } = await start();
    const begin = () => Promise.reject(new Failure("not-found", "there is no such tag"));
    const failing = { ...deps, trees: { ...deps.trees, begin } };
    const made = await createClaim(failing, wish({ from: "r.example/seed:v1" }), call);
    expect(warningOf(made)).toContain("there is no such tag");
  });

  it("cuts what it tells to whole characters", async () => {
    const { deps } = await start();
    for (const before of ["", "x"]) {
      const begin = () => Promise.reject(new Failure("not-found", `${before}${"💾".repeat(1_000)}`));
      const failing = { ...deps, trees: { ...deps.trees, begin } };
      const wanted = { ...wish({ from: "r.example/seed:v1" }), name: `pvc-${before}` };
      const warning = warningOf(await createClaim(failing, wanted, call)) ?? "";
      expect(warning).toHaveLength(1_000);
      expect(warning.isWellFormed()).toBe(true);
    }
  });

  it("tells of the node's last knowledge of the key, and asks again at the first stage", async () => {
    const { node, deps } = await start({ trouble: down });
    const head = headOf(5);
    await writeKnownHead(deps, cache, {
      digest: head.digest,
      bytes: 1,
      version: { timeMs: NOW + 5, id: "other" },
    });
    const made = await createClaim(deps, wish(), call);
    expect(warningOf(made)).toMatch(/may not be its head: Cannot reach r\.example.*looks again$/);
    Object.assign(node, { trouble: undefined, head });
    await stageClaim(deps, stageRequest(made.volumeId), call);
    expect(deps.claims.require(made.volumeId).base).toMatchObject({ origin: "head", isTainted: false });
  });

  it("waits three seconds at most, and a quarter of the call's time, for a registry or a credential plugin that hangs", async () => {
    const never = () => new Promise<never>(() => undefined);
    const registry = async (node: ClaimNode, deps: Deps): Promise<Deps> => {
      node.onHead = (_, signal) =>
        new Promise((_resolve, reject) => {
          signal.throwIfAborted();
          signal.addEventListener("abort", () => reject(signal.reason as Error), { once: true });
        });
      return deps;
    };
    const plugin = async (_: ClaimNode, deps: Deps): Promise<Deps> => ({
      ...deps,
      keyring: { accessesFor: never },
    });
    for (const hang of [registry, plugin]) {
      for (const [leftMs, patientMs] of [
        [120_000, 3_000],
        [8_000, 2_000],
      ] as const) {
        const { node, deps } = await start();
        const pauses: number[] = [];
        const clock = { now: () => NOW, pause: async (ms: number) => void pauses.push(ms) };
        const hanging = await hang(node, { ...deps, clock });
        const made = await createClaim(hanging, wish(), { ...call, deadline: NOW + leftMs });
        expect(pauses).toEqual([patientMs]);
        expect(warningOf(made)).toContain(`no answer within ${patientMs / 1000} s`);
      }
    }
  });

  it("leaves the looking to the next call where its caller goes", async () => {
    const { node, deps } = await start();
    const leaving = new AbortController();
    node.onHead = async (_, signal) => {
      leaving.abort(new Failure("pending", "nobody waits"));
      signal.throwIfAborted();
    };
    const gone = createClaim(deps, wish(), { ...call, signal: leaving.signal });
    await expect(gone).rejects.toEqual(being("pending"));
    Object.assign(node, { onHead: async () => undefined, head: headOf(1) });
    const made = await createClaim(deps, wish(), call);
    expect(deps.claims.require(made.volumeId).look).toMatchObject({ head: { kind: "found" } });
    expect((await node.quotas.list()).length).toBe(1);
  });
});

const wishless = { host: cache.host, repository: cache.repository };

describe("freshAnswers() at a first stage", () => {
  it.each([
    ["a moment later", 59_999, 1],
    ["a minute later", 60_000, 2],
    ["with the clock set back", -1, 2],
    ["with the clock set forward by years", 1e11, 2],
  ])("%s: the key was asked for so often", async (_, laterMs, times) => {
    const { node, deps } = await start({ head: headOf(1) });
    const { volumeId } = await createClaim(deps, wish(), call);
    node.now += laterMs;
    await stageClaim(deps, stageRequest(volumeId), call);
    expect(node.headAsked).toHaveLength(times);
    expect(deps.claims.require(volumeId).base).toMatchObject({ origin: "head", isTainted: false });
  });

  it("asks again with other credentials than the claim was made with, whatever those were told", async () => {
    const { node, deps: plain } = await start();
    const deps = { ...plain, keyring };
    const { volumeId } = await createClaim(deps, wish(), call);
    node.head = headOf(1);
    await stageClaim(deps, { ...stageRequest(volumeId), ...secret("a") }, call);
    expect(node.headAsked.map(({ credentials }) => credentials?.kind)).toEqual([undefined, "basic"]);
    expect(deps.claims.require(volumeId).base).toMatchObject({ origin: "head" });
    const request = { ...wish(), name: "two", ...secret("a") };
    const two = await createClaim(deps, request, call);
    const refused = new Failure("denied", "the registry answered 401");
    Object.assign(node, { trouble: refused, lease: () => Promise.reject(refused) });
    const stranger = { ...stageRequest(two.volumeId), path: "/staging/two", ...secret("b") };
    await expect(stageClaim(deps, stranger, call)).rejects.toThrow("401");
    node.lease = async () => undefined;
    await stageClaim(deps, { ...stranger, ...secret("a") }, call);
    expect(deps.claims.require(two.volumeId).base).toMatchObject({ origin: "head" });
  });

  it("asks again where a claim of this node has written the key since", async () => {
    const { node, deps } = await start({ head: headOf(1) });
    const { volumeId } = await createClaim(deps, wish(), call);
    const head = headOf(2);
    node.head = head;
    await writeKnownHead(deps, cache, {
      digest: head.digest,
      bytes: 1,
      version: { timeMs: NOW + 2, id: "x" },
    });
    await stageClaim(deps, stageRequest(volumeId), call);
    expect(node.headAsked).toHaveLength(2);
    expect(deps.claims.require(volumeId).base?.version).toMatchObject({ timeMs: NOW + 2 });
  });

  it("notes what the key means now, a version that is older than it was too", async () => {
    const { deps } = await start({ head: headOf(1) });
    const rolledBack = { digest: headOf(9).digest, bytes: 1, version: { timeMs: NOW + 9, id: "other" } };
    await writeKnownHead(deps, cache, rolledBack);
    const { volumeId } = await createClaim(deps, wish(), call);
    await stageClaim(deps, stageRequest(volumeId), call);
    expect(await readKnownHead(deps, cache)).toMatchObject({ digest: headOf(1).digest });
  });

  it("notes nothing over what a claim of this node wrote back while the base was on its way", async () => {
    const { node, deps } = await start({ head: headOf(1) });
    const { volumeId } = await createClaim(deps, wish(), call);
    const newer = { digest: headOf(9).digest, bytes: 1, version: { timeMs: NOW + 9, id: "other" } };
    node.lease = async () => {
      await writeKnownHead(deps, cache, newer);
      return undefined;
    };
    await stageClaim(deps, stageRequest(volumeId), call);
    expect(await readKnownHead(deps, cache)).toEqual(newer);
  });

  it("asks again where what was found cannot be had any more", async () => {
    const { node, deps } = await start({ head: headOf(1) });
    const { volumeId } = await createClaim(deps, wish(), call);
    node.lease = async () => {
      node.lease = async () => undefined;
      throw new Failure("not-found", "that manifest is gone");
    };
    await stageClaim(deps, stageRequest(volumeId), call);
    expect(node.headAsked).toHaveLength(2);
    expect(deps.claims.require(volumeId).base).toMatchObject({ origin: "head", isTainted: false });
  });
});

describe("stageClaim() while credentials are being asked for", () => {
  it("says pending, and is free for the next call", async () => {
    const { node, deps } = await start({ head: headOf(1) });
    const { volumeId } = await createClaim(deps, wish(), call);
    const asked = Promise.withResolvers<readonly Access[]>();
    // The call's margin ends first; nobody's patience does.
    const pause = async (ms: number, signal: AbortSignal) => {
      if (ms > 1_000) await new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve()));
    };
    const clock = { now: () => node.now, pause };
    const hanging = { ...deps, keyring: { accessesFor: () => asked.promise }, clock };
    for (let again = 0; again < 2; again++) {
      const refused = stageClaim(hanging, stageRequest(volumeId), { ...call, deadline: node.now + 1_000 });
      await expect(refused).rejects.toEqual(being("pending"));
    }
    asked.resolve([wishless]);
    await stageClaim(hanging, stageRequest(volumeId), call);
    expect(deps.claims.require(volumeId).base).toMatchObject({ origin: "head" });
  });

  it("starts without its cache after base-deadline, rather than wait for a credential plugin for ever", async () => {
    const { node, deps } = await start({ head: headOf(1) });
    const { volumeId } = await createClaim(deps, wish({ "base-deadline": "30s" }), call);
    const pauses: number[] = [];
    const pause = async (ms: number, signal: AbortSignal) => {
      pauses.push(ms);
      if (ms > 40_000)
        await new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve()));
      else node.now += ms;
    };
    const clock = { now: () => node.now, pause };
    const hanging = { ...deps, keyring: { accessesFor: () => new Promise<never>(() => undefined) }, clock };
    await stageClaim(hanging, stageRequest(volumeId), { ...call, deadline: node.now + 120_000 });
    expect(pauses).toContain(30_000);
    const { base } = deps.claims.require(volumeId);
    expect(base).toMatchObject({ origin: "empty", isTainted: true });
    expect(base?.note).toContain("no answer within 30 s");
  });

  it("starts without its cache after base-deadline where a credential plugin fails, and not before", async () => {
    const { node, deps } = await start({ head: headOf(1) });
    const { volumeId } = await createClaim(deps, wish(), call);
    const broken = new Failure("unavailable", 'the credential provider "acme" exited with 3');
    const failing = { ...deps, keyring: { accessesFor: () => Promise.reject(broken) } };
    for (const laterMs of [0, 299_999]) {
      node.now += laterMs;
      await expect(stageClaim(failing, stageRequest(volumeId), call)).rejects.toThrow("exited with 3");
    }
    node.now += 1;
    await stageClaim(failing, stageRequest(volumeId), call);
    expect(deps.claims.require(volumeId).base).toMatchObject({ origin: "empty", isTainted: true });
  });
});
