// To whom a node gives what it has of a Cache by itself, over the real store, packer, ORAS and a registry with a password.
import { writeFileSync } from "node:fs";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { openRealRegistry, type RealRegistry, registryUser } from "../../testing/real-registry.ts";
import { Failure } from "../core/failure.ts";
import { forgetKnownHeads } from "./known-heads.ts";
import { listOf, RealClaim } from "./testing/real-claim.ts";
import { type RealDeps, RealNode, Stopped } from "./testing/real-node.ts";

let open: AsyncDisposableStack;
let registry: RealRegistry;
let node: RealNode;
let deps: RealDeps;
beforeEach(async () => {
  open = new AsyncDisposableStack();
  registry = open.use(await openRealRegistry({ password: true }));
  node = open.use(new RealNode());
  deps = await node.start();
});
afterEach(async () => await open.disposeAsync());

const { username, password } = registryUser;
const member = new Map(Object.entries({ username, password }));
const nobody = new Map<string, string>();
const stranger = new Map(Object.entries({ username: "eve", password: "guess" }));

async function begin(name: string, secrets: ReadonlyMap<string, string>): Promise<RealClaim> {
  const parameters = new Map(
    Object.entries({
      repository: `${registry.host}/caches/\${cache}`,
      cache: "m2",
      key: "main",
      when: "always",
      "base-deadline": "0s",
    }),
  );
  return await RealClaim.begin(node, deps, { name, parameters, secrets });
}

const originOf = async (name: string, secrets: ReadonlyMap<string, string>) => {
  const { base } = (await begin(name, secrets)).record;
  return [base?.origin, base?.isTainted];
};

async function commit(name: string): Promise<RealClaim> {
  const claim = await begin(name, member);
  writeFileSync(path.join(claim.upper, name), name);
  await claim.unstage();
  return claim;
}

describe("findBase() of what a node has by itself", () => {
  it("gives a head that is not pushed yet to those alone who were let in as its claim was", async () => {
    const first = await commit("one");
    node.stopAt = "begun";
    await expect(first.delete(deps, member)).rejects.toThrow(Stopped);
    expect(await originOf("two", nobody)).toEqual(["empty", true]);
    expect(await originOf("three", stranger)).toEqual(["empty", true]);
    expect(await originOf("four", member)).toEqual(["local", false]);
    await registry.stop();
    expect(await originOf("five", nobody)).toEqual(["empty", true]);
    expect(await originOf("six", member)).toEqual(["local", true]);
    // A restart knows nobody: the registry has to answer again.
    deps = await node.restart();
    expect(await originOf("seven", member)).toEqual(["empty", true]);
  });

  it("gives it to whom the registry shows the head before it", async () => {
    await (await commit("one")).delete(deps, member);
    const second = await commit("two");
    node.stopAt = "begun";
    await expect(second.delete(deps, member)).rejects.toThrow(Stopped);
    deps = await node.restart();
    const third = await begin("three", member);
    expect(third.record.base?.origin).toBe("local");
    expect(listOf(await third.show())).toEqual(["one", "two"]);
    expect(await originOf("four", nobody)).toEqual(["empty", true]);
  });

  it("gives none that began without the registry's own head, which was disguised as absent to its claim", async () => {
    await (await commit("one")).delete(deps, member);
    const disguise = vi.spyOn(deps.trees, "fetchTag");
    disguise.mockRejectedValue(new Failure("not-found", "Cannot resolve: the registry has no such tag"));
    const second = await begin("two", stranger);
    disguise.mockRestore();
    expect(second.record.base).toMatchObject({ origin: "empty", isTainted: false, isHeadAbsent: true });
    writeFileSync(path.join(second.upper, "two"), "two");
    await second.unstage();
    const refusing = { ...deps, push: () => Promise.reject(new Failure("unavailable", "down")) };
    await expect(second.delete(refusing, member)).rejects.toThrow("down");
    expect(second.record.commit).toBeDefined();
    const third = await begin("three", member);
    expect(third.record.base).toMatchObject({ origin: "head", isTainted: false });
    expect(listOf(await third.show())).toEqual(["one"]);
    await second.delete(deps, member);
    expect(await originOf("four", member)).toEqual(["head", false]);
  });

  it("gives what it last knew of a key to those alone who were proven for it", async () => {
    await (await commit("one")).delete(deps, member);
    await begin("two", member);
    await registry.stop();
    expect(await originOf("three", nobody)).toEqual(["empty", true]);
    expect(await originOf("four", stranger)).toEqual(["empty", true]);
    expect(await originOf("five", member)).toEqual(["known", true]);
  });
});

describe("forgetKnownHeads()", () => {
  it("keeps heads of which there is a Tree here, and no others", async () => {
    const heads = path.join(node.root, "heads");
    await forgetKnownHeads(deps, deps.layers.meanings());
    await (await commit("one")).delete(deps, member);
    writeFileSync(path.join(heads, "torn"), "{");
    await forgetKnownHeads(deps, deps.layers.meanings());
    expect(listOf(heads)).toHaveLength(1);
    await forgetKnownHeads(deps, new Set());
    expect(listOf(heads)).toEqual([]);
  });
});
