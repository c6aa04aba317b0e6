// What follows a push that the registry has confirmed: who may have what this node attached, and who not.
import { writeFileSync } from "node:fs";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { openRealRegistry, type RealRegistry } from "../../testing/real-registry.ts";
import { openRegistryDouble } from "../../testing/registry-double.ts";
import { type Digest, digestOf } from "../core/digest.ts";
import { Failure, isFailure, type Reason } from "../core/failure.ts";
import { readKnownHead, writeKnownHead } from "./known-heads.ts";
import { listOf, RealClaim } from "./testing/real-claim.ts";
import { type RealDeps, RealNode } from "./testing/real-node.ts";

const being = (reason: Reason) => expect.toSatisfy((error) => isFailure(error, reason)) as unknown;

let open: AsyncDisposableStack;
let registry: RealRegistry;
beforeEach(async () => {
  open = new AsyncDisposableStack();
  registry = open.use(await openRealRegistry());
});
afterEach(async () => await open.disposeAsync());

const newNode = () => open.use(new RealNode());

async function begin(
  node: RealNode,
  deps: RealDeps,
  name: string,
  more: Record<string, string> = {},
): Promise<RealClaim> {
  const parameters = {
    repository: `${registry.host}/caches/\${cache}`,
    cache: "m2",
    key: "main",
    when: "always",
    ...more,
  };
  return await RealClaim.begin(node, deps, { name, parameters: new Map(Object.entries(parameters)) });
}

const configOf = async (digest: Digest): Promise<Uint8Array> => {
  const answer = await fetch(`http://${registry.host}/v2/caches/m2/blobs/${digest}`);
  return new Uint8Array(await answer.arrayBuffer());
};

/** A version of the cache that holds one file of that name. */
async function seed(name: string): Promise<void> {
  const node = newNode();
  const claim = await begin(node, await node.start(), name);
  writeFileSync(path.join(claim.upper, name), name.repeat(1000));
  await claim.unstage();
  await claim.delete();
}

const signal = new AbortController().signal;
const platform = { os: "linux", architecture: "amd64" };

describe("confirmPush()", () => {
  it("is done where this node has no room to attach what the registry has", async () => {
    const node = newNode();
    const deps = await node.start();
    deps.layers.register = async () => await Promise.reject(new Failure("full", "Cannot write: no room"));
    const claim = await begin(node, deps, "one");
    writeFileSync(path.join(claim.upper, "one"), "one");
    await claim.unstage();
    await claim.delete();
    expect(deps.claims.all.size).toBe(0);
    const next = await begin(node, deps, "two");
    expect(next.record.base).toMatchObject({ origin: "head", isTainted: false });
    expect(listOf(await next.show())).toEqual(["one"]);
  });

  it("leaves what is known of the key to a newer version that was confirmed meanwhile", async () => {
    await seed("first");
    const node = newNode();
    const deps = await node.start();
    const claim = await begin(node, deps, "second");
    writeFileSync(path.join(claim.upper, "second"), "second");
    await claim.unstage();
    const cache = { host: registry.host, repository: "caches/m2", key: "main", restoreKeys: [] };
    const before = await readKnownHead(deps, cache);
    const newer = { digest: digestOf("newer"), bytes: 1, version: { timeMs: 9e12, id: "newer" } };
    const register = deps.layers.register.bind(deps.layers);
    deps.layers.register = async (access, pushed) => {
      await register(access, pushed);
      await writeKnownHead(deps, cache, newer);
    };
    await claim.delete();
    expect(before).toBeDefined();
    expect(await readKnownHead(deps, cache)).toEqual(newer);
  });

  it("counts a registry as a source of those layers alone that it has", async () => {
    await seed("secret");
    const double = open.use(await openRegistryDouble());
    const node = newNode();
    const deps = await node.start();
    const from = { host: registry.host, repository: "caches/m2" };
    const claim = await begin(node, deps, "two", {
      from: `${registry.host}/caches/m2:main`,
      repository: `${double.host}/caches/\${cache}`,
      format: "portable",
    });
    writeFileSync(path.join(claim.upper, "two"), "two");
    await claim.unstage();
    await claim.delete();
    const bytesBefore = node.rig.bytesBy.get("upstream") ?? 0;
    const again = await begin(node, deps, "three", { repository: `${double.host}/caches/\${cache}` });
    expect(listOf(await again.show())).toEqual(["secret", "two"]);
    expect(node.rig.bytesBy.get("upstream") ?? 0).toBe(bytesBefore);
    // Somebody who knows its digest names the layer at the other registry, which has no such blob.
    const { bytes } = await deps.reader.fetchTag(from, { ...from, tag: "main" }, signal);
    const { config } = JSON.parse(Buffer.from(bytes).toString()) as { config: { digest: Digest } };
    double.manifest(bytes, { tags: ["stolen"] });
    double.blob(await configOf(config.digest));
    const evil = { host: double.host, repository: "evil/repository" };
    const asked = deps.trees.lease(
      { accesses: [evil], reference: { ...evil, tag: "stolen" }, platform, layout: "overlay" },
      { signal },
    );
    await expect(asked).rejects.toEqual(being("not-found"));
  });
});
