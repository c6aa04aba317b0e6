// What a class says of its claims, and what is said of one later, through the door: each setting changes what happens.
import { readdir, stat, writeFile } from "node:fs/promises";
import path from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from "vitest";
import { openRegistryDouble, type RegistryDouble } from "../testing/registry-double.ts";
import { unique } from "./artifact.ts";
import { ClaimCalls, insisting, openClaimPlugin } from "./claim-calls.ts";
import { metric } from "./metrics.ts";
import { digestsIn } from "./node-state.ts";
import type { Plugin } from "./plugin.ts";
import { kept, nothingLeft, refusalOf } from "./remains.ts";

const KIB = 2 ** 10;
const MIB = 2 ** 20;
const DOWN = { kind: "status", status: 503, headers: { "retry-after": "3600" } } as const;

let registry: RegistryDouble;
let plugin: Plugin;
let other: Plugin;
beforeAll(async () => {
  registry = await openRegistryDouble();
  [plugin, other] = await Promise.all([
    openClaimPlugin({ settings: { layer: { max: "1Mi" }, claims: { pending: "1Mi" } } }),
    openClaimPlugin(),
  ]);
}, 120_000);
afterAll(async () => {
  for (const each of [plugin, other]) await each[Symbol.asyncDispose]();
  await registry[Symbol.asyncDispose]();
});
afterEach(async () => {
  registry.mend();
  for (const each of [plugin, other]) {
    for (const folder of ["claims", "volumes"]) expect(await kept(each, folder)).toEqual([]);
    await nothingLeft(each);
  }
});

let names = 0;

/** A claim of that key on that node. */
function claimOf(
  key: string,
  more: Readonly<Record<string, string>> = {},
  node: Plugin = plugin,
): ClaimCalls {
  const repository = `${registry.host}/caches/\${cache}`;
  const usual = { repository, cache: "m2", key, when: "always", "base-deadline": "0s" };
  return new ClaimCalls({ plugin: node }, { name: `claim-${++names}`, parameters: { ...usual, ...more } });
}

/** What a pod finds in the claim, and that it adds files of such sizes. */
async function use(claim: ClaimCalls, added: Readonly<Record<string, number>> = {}): Promise<string[]> {
  let found: string[] = [];
  await claim.runPod(async (at) => {
    found = (await readdir(at)).sort();
    for (const [name, bytes] of Object.entries(added)) await writeFile(path.join(at, name), unique(bytes));
  });
  return found;
}

async function fill(key: string, name: string, more: Readonly<Record<string, string>> = {}): Promise<void> {
  const claim = claimOf(key, more);
  await use(claim, { [name]: KIB });
  await claim.deleteAtLast();
}

/** What the log says of the claim, in one line of it. */
async function logged(claim: ClaimCalls, words: RegExp): Promise<void> {
  const lines = () => plugin.log.filter((line) => line.includes(claim.id));
  await vi.waitFor(() => expect(lines().filter((line) => words.test(line))).not.toEqual([]), 60_000);
}

const versionsOf = (key: string) => registry.pushes.tags().filter((tag) => tag.startsWith(`${key}.`));

describe("where a claim starts", { timeout: 180_000 }, () => {
  it("is the newest version that the first fitting restore key finds, where its key has no head", async () => {
    for (const [key, name] of [
      ["deps-1", "old"],
      ["deps-2", "new"],
      ["other-1", "newest"],
    ] as const)
      await fill(key, name);
    const claim = claimOf("deps-3", { "restore-keys": "nothing-,deps-,other-" });
    expect(await use(claim, { own: KIB })).toEqual(["new"]);
    await claim.deleteAtLast();
    const head = claimOf("deps-3", { "restore-keys": "other-", policy: "pull" });
    expect(await use(head)).toEqual(["new", "own"]);
    await head.deleteAtLast();
  });

  it("is nothing under the policy push, whatever its key has", async () => {
    await fill("written", "before");
    const claim = claimOf("written", { policy: "push" });
    expect(await use(claim, { after: KIB })).toEqual([]);
    await claim.deleteAtLast();
    const next = claimOf("written", { policy: "pull" });
    expect(await use(next)).toEqual(["after"]);
    await next.deleteAtLast();
  });

  it("is nothing where the head outgrew max-size, which is said, and what it writes takes the key", async () => {
    const large = claimOf("outgrown");
    await use(large, { large: 100 * KIB });
    await large.deleteAtLast();
    const claim = claimOf("outgrown", { "max-size": "50Ki" });
    expect(await use(claim, { small: KIB })).toEqual([]);
    await logged(claim, /starts empty: its cache has .* more than its max-size/);
    await claim.deleteAtLast();
    const next = claimOf("outgrown", { policy: "pull" });
    expect(await use(next)).toEqual(["small"]);
    await next.deleteAtLast();
  });

  it("has to be something under fail-on-miss: the pod waits until there is", async () => {
    const claim = claimOf("missed", { "fail-on-miss": "true", policy: "pull" });
    await claim.create();
    const { code, message } = await refusalOf(insisting((options) => claim.stage(options)));
    expect(code).toBe("NOT_FOUND");
    for (const words of ['nothing under the key "missed"', "fail-on-miss"]) expect(message).toContain(words);
    await fill("missed", "here");
    expect(await use(claim)).toEqual(["here"]);
    await claim.deleteAtLast();
  });

  it("has the owner and the mode that the class wishes at its root", async () => {
    const claim = claimOf("owned", { uid: "1234", gid: "4321", mode: "2775", policy: "discard" });
    await claim.runPod(async (at) => {
      const { uid, gid, mode } = await stat(at);
      expect([uid, gid, mode & 0o7777]).toEqual([1234, 4321, 0o2775]);
    });
    await claim.deleteAtLast();
  });

  it("is another node where the class requires limits that this one has not", async () => {
    const parameters = { quota: "required" };
    const room = await plugin.client.call("Controller", "GetCapacity", { parameters });
    expect(Number(room["available_capacity"])).toBe(0);
    const { code, message } = await refusalOf(claimOf("limited", parameters).create());
    expect(code).toBe("RESOURCE_EXHAUSTED");
    expect(message).toContain("requires a hard limit");
  });
});

describe("how a claim goes back", { timeout: 180_000 }, () => {
  it("is in layers of layer.max at most, which another node shows as one", async () => {
    const claim = claimOf("split");
    let held = {};
    await claim.runPod(async (at) => {
      for (const name of ["one", "two", "three"]) await writeFile(path.join(at, name), unique(700 * KIB));
      held = await digestsIn(at);
    });
    await claim.deleteAtLast();
    expect(registry.pushes.layersOf("split")).toHaveLength(3);
    const there = claimOf("split", { policy: "pull" }, other);
    await there.runPod(async (at) => expect(await digestsIn(at)).toEqual(held));
    await there.deleteAtLast();
  });

  it("leaves so many versions of its key as the class says, and those of others", async () => {
    await fill("aged", "zero");
    await fill("aged-2", "other");
    for (const name of ["one", "two"]) await fill("aged", name, { versions: "2" });
    expect(versionsOf("aged")).toHaveLength(2);
    expect(versionsOf("aged-2")).toHaveLength(1);
    const next = claimOf("aged", { policy: "pull" });
    expect(await use(next)).toEqual(["one", "two", "zero"]);
    await next.deleteAtLast();
  });

  it("is decided by when-unknown where nobody told how its pods ended", async () => {
    for (const [whenUnknown, versions] of [
      ["skip", 0],
      ["push", 1],
    ] as const) {
      await fill("unknown", whenUnknown, { when: "success", "when-unknown": whenUnknown });
      expect(versionsOf("unknown")).toHaveLength(versions);
    }
  });

  it("is given up once push-deadline has passed, as it is said later: logged and counted", async () => {
    const claim = claimOf("dropped", { "on-push-failure": "keep", "push-deadline": "0s" });
    await use(claim, { file: KIB });
    registry.spoilWhere(() => true, DOWN, Number.POSITIVE_INFINITY);
    for (let tries = 0; tries < 2; tries++)
      expect((await refusalOf(claim.deleteAtLast())).code).toBe("UNAVAILABLE");
    const lost = 'larder_claims_total{event="lost"}';
    expect(await metric(plugin, lost)).toBe(0);
    await claim.modify({ "on-push-failure": "drop" });
    await claim.deleteAtLast();
    expect(await metric(plugin, lost)).toBe(1);
    await logged(claim, /until its push-deadline: .*answered 503 .*changes are lost for the registry/);
    expect(versionsOf("dropped")).toEqual([]);
  });

  it("is not for claims made while others that wait hold more than claims.pending, which is said", async () => {
    const waiting = claimOf("waiting");
    await use(waiting, { large: 2 * MIB });
    registry.spoilWhere(() => true, DOWN, Number.POSITIVE_INFINITY);
    expect((await refusalOf(waiting.deleteAtLast())).code).toBe("UNAVAILABLE");
    registry.mend();
    const claim = claimOf("beyond");
    await use(claim, { file: KIB });
    expect(claim.context["warning"]).toMatch(/Nothing of this claim will be written back.*claims\.pending/);
    await claim.deleteAtLast();
    expect(versionsOf("beyond")).toEqual([]);
    await waiting.deleteAtLast();
    expect(versionsOf("waiting")).toHaveLength(1);
    await fill("beyond", "after");
    expect(versionsOf("beyond")).toHaveLength(1);
  });
});
