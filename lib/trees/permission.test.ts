import { mkdir, writeFile } from "node:fs/promises";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type Digest, digestOf } from "../core/digest.ts";
import { Failure, isFailure } from "../core/failure.ts";
import { Proofs, registryOf } from "./permission.ts";
import { accessTo, contentOf, Kit, never, requestFor } from "./testing/kit.ts";
import {
  addFiles,
  addImage,
  addManifest,
  addRepository,
  type Host,
  INDEX,
  type Repository,
} from "./testing/registry-twin.ts";
import { twinLayer } from "./testing/unpacker-twin.ts";
import type { Trees } from "./trees.ts";

const failing = (reason: Parameters<typeof isFailure>[1]) =>
  expect.toSatisfy((error: unknown) => isFailure(error, reason));

async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise(setImmediate);
}

describe("Proofs", () => {
  const digest = digestOf("manifest");
  const access = accessTo("r.example/a:v1", "secret");

  it("hold for the very credentials, registry, repository and manifest, until they expire or the clock jumps", () => {
    let now = 1000;
    const proofs = new Proofs({ salt: Buffer.from("salt"), ttlMs: 100, now: () => now });
    proofs.remember(access, digest);
    expect(proofs.has(access, digest)).toBe(true);
    for (const other of [
      accessTo("r.example/a:v1", "other"),
      accessTo("r.example/a:v1"),
      accessTo("r.example/b:v1", "secret"),
      accessTo("s.example/a:v1", "secret"),
      { ...access, plainHttp: true },
      { ...access, insecure: true },
    ]) {
      expect(proofs.has(other, digest)).toBe(false);
    }
    expect(proofs.has(access, digestOf("other"))).toBe(false);
    now = 1099;
    expect(proofs.has(access, digest)).toBe(true);
    now = 1100;
    expect(proofs.has(access, digest)).toBe(false);
    now = 999;
    expect(proofs.has(access, digest)).toBe(false);
  });

  it("are open to all only where an anonymous request was answered", () => {
    const proofs = new Proofs({ salt: Buffer.from("salt"), ttlMs: 100, now: () => 0 });
    proofs.remember(access, digest);
    expect(proofs.isOpen(access, digest)).toBe(false);
    proofs.remember(accessTo("r.example/a:v1"), digest);
    expect(proofs.isOpen(accessTo("r.example/a:v1", "any"), digest)).toBe(true);
  });

  it("stay bounded in number", () => {
    const proofs = new Proofs({ salt: Buffer.from("salt"), ttlMs: 100, now: () => 0 });
    for (let i = 0; i < 20_001; i++) proofs.remember(access, digestOf(String(i)));
    expect(proofs.has(access, digestOf("0"))).toBe(false);
    expect(proofs.has(access, digestOf("20000"))).toBe(true);
  });

  it("name nobody", () => {
    const proofs = new Proofs({ salt: Buffer.from("salt"), ttlMs: 100, now: () => 0 });
    expect(proofs.who(access)).toMatch(/^[0-9a-f]{64}$/);
    expect(registryOf(access)).toBe("r.example");
  });
});

describe("lease() with a hostile pod", () => {
  let kit: Kit;
  let host: Host;
  let secret: Repository;
  let digest: Digest;
  let trees: Trees;
  const owner = () => requestFor(`r.example/private@${digest}`, { password: "owner" });

  beforeEach(async () => {
    kit = await Kit.open();
    host = kit.registry.addHost("r.example");
    secret = addRepository(host, "private", ["owner", "second"]);
    addRepository(host, "open");
    digest = addFiles(secret, { "secret.txt": "the secret" });
    trees = await kit.start();
    (await trees.lease(owner(), never))[Symbol.dispose]();
  });

  afterEach(async () => {
    await kit[Symbol.asyncDispose]();
  });

  it("refuses what is here to other credentials and to none, and tells which were refused", async () => {
    const wrong = trees.lease(requestFor(`r.example/private@${digest}`, { password: "wrong" }), never);
    await expect(wrong).rejects.toThrow('pull secret "wrong"');
    await expect(trees.lease(requestFor(`r.example/private@${digest}`), never)).rejects.toEqual(
      failing("denied"),
    );
  });

  it("tries a pod's credentials in order, past a refusal", async () => {
    const accesses = ["wrong", "second"].map((password) => accessTo("r.example/private:v1", password));
    using leased = await trees.lease(requestFor(`r.example/private@${digest}`, { accesses }), never);
    expect(leased.hit).toBe(true);
  });

  it("refuses an open repository named with a private digest", async () => {
    await expect(trees.lease(requestFor(`r.example/open@${digest}`), never)).rejects.toEqual(
      failing("not-found"),
    );
  });

  it("refuses a pod's own registry that answers 200 to anything", async () => {
    const evil = kit.registry.addHost("evil.example", { claimsAll: true });
    addRepository(evil, "x");
    await expect(trees.lease(requestFor(`evil.example/x@${digest}`), never)).rejects.toEqual(
      failing("not-found"),
    );
    // Not even with the manifest, which its owner may have been told.
    evil.repositories
      .get("x")
      ?.manifests.set(digest, secret.manifests.get(digest) ?? { bytes: Buffer.of(), mediaType: "" });
    await expect(trees.lease(requestFor(`evil.example/x@${digest}`), never)).rejects.toEqual(
      failing("not-found"),
    );
  });

  it("refuses a pod's own registry whose index or manifest names private content", async () => {
    const evil = addRepository(kit.registry.addHost("evil.example"), "x");
    const platform = { os: "linux", architecture: "amd64" };
    const size = secret.manifests.get(digest)?.bytes.length;
    const index = addManifest(evil, { manifests: [{ mediaType: INDEX, digest, size, platform }] }, INDEX);
    await expect(trees.lease(requestFor(`evil.example/x@${index}`), never)).rejects.toEqual(
      failing("not-found"),
    );
    const mine = addFiles(evil, { "mine.txt": "the secret" });
    evil.blobs.delete(digestOf("the secret"));
    await expect(trees.lease(requestFor(`evil.example/x@${mine}`), never)).rejects.toEqual(
      failing("not-found"),
    );
    expect(await kit.list("partials")).toEqual([]);
  });

  it("refuses private content although a mirror without authentication has it", async () => {
    kit.registry.mirror.set(digestOf("the secret"), Buffer.from("the secret"));
    await expect(trees.lease(requestFor(`r.example/private@${digest}`), never)).rejects.toEqual(
      failing("denied"),
    );
    const evil = addRepository(kit.registry.addHost("evil.example", { claimsAll: true }), "x");
    evil.manifests.set(digest, secret.manifests.get(digest) ?? { bytes: Buffer.of(), mediaType: "" });
    // What is here counts as another registry's only when that registry itself sends the bytes, never its mirror.
    await expect(trees.lease(requestFor(`evil.example/x@${digest}`), never)).rejects.toEqual(
      failing("not-found"),
    );
  });

  it("downloads again what another registry has too, and shares it from then on, over a restart too", async () => {
    const other = addRepository(kit.registry.addHost("s.example"), "copy");
    expect(addFiles(other, { "secret.txt": "the secret" })).toBe(digest);
    const request = requestFor(`s.example/copy@${digest}`);
    const before = kit.registry.count("blob");
    using leased = await trees.lease(request, never);
    expect(leased.hit).toBe(false);
    expect(kit.registry.count("blob")).toBe(before + 1);
    using mine = await trees.lease(owner(), never);
    expect(leased.layers).toEqual(mine.layers);
    using again = await (await kit.start()).lease(request, never);
    expect(again.hit).toBe(true);
    expect(kit.registry.count("blob")).toBe(before + 1);
  });

  it("opens to all what the registry answers to an anonymous request", async () => {
    delete (secret as { passwords?: readonly string[] }).passwords;
    (await trees.lease(requestFor(`r.example/private@${digest}`), never))[Symbol.dispose]();
    const before = kit.registry.requests.length;
    using leased = await trees.lease(requestFor(`r.example/private@${digest}`, { password: "any" }), never);
    expect(leased.hit).toBe(true);
    expect(kit.registry.requests.length).toBe(before);
  });

  it("passes while the registry is down on living proofs only", async () => {
    host.isDown = true;
    using leased = await trees.lease(owner(), never);
    expect(leased.hit).toBe(true);
    const second = requestFor(`r.example/private@${digest}`, { password: "second" });
    await expect(trees.lease(second, never)).rejects.toEqual(failing("unavailable"));
    kit.nowMs += kit.settings.proofTtlMs;
    await expect(trees.lease(owner(), never)).rejects.toEqual(failing("unavailable"));
  });

  it("forgets every proof in a restart", async () => {
    const again = await kit.start();
    host.isDown = true;
    await expect(again.lease(owner(), never)).rejects.toEqual(failing("unavailable"));
  });

  it.each([
    "denied",
    // As which some registries disguise it.
    "not-found",
  ] as const)("ends a joined flight %s for those credentials only that it flew with", async (reason) => {
    const fresh = addFiles(secret, { "fresh.txt": "fresh" });
    const held = Promise.withResolvers<void>();
    kit.registry.gate = async () => {
      await held.promise;
      kit.registry.gate = () => Promise.resolve();
      throw new Failure(reason, "the first one's right ended in the middle of its pull");
    };
    const first = trees.lease(requestFor(`r.example/private@${fresh}`, { password: "owner" }), never);
    const refused = expect(first).rejects.toEqual(failing(reason));
    await until(() => kit.registry.count("blob") === 2);
    const second = trees.lease(requestFor(`r.example/private@${fresh}`, { password: "second" }), never);
    await until(() => trees.figures().joined === 1);
    held.resolve();
    await refused;
    using leased = await second;
    expect(await contentOf(leased)).toEqual({ "fresh.txt": "fresh" });
  });

  it("tells of a refusal that came while nobody waited those credentials only that it came for", async () => {
    const fresh = addFiles(secret, { "fresh.txt": "fresh" });
    const held = Promise.withResolvers<void>();
    kit.registry.gate = async () => {
      await held.promise;
      kit.registry.gate = () => Promise.resolve();
      throw new Failure("denied", "the first one's right ended in the middle of its pull");
    };
    const caller = new AbortController();
    const request = (password: string) => requestFor(`r.example/private@${fresh}`, { password });
    const first = trees.lease(request("owner"), { signal: caller.signal });
    await until(() => kit.registry.count("blob") === 2);
    caller.abort(new Error("gone"));
    await expect(first).rejects.toThrow("gone");
    const pulls = () => kit.metrics.counted.filter(({ what }) => what === "pull").length;
    const before = pulls();
    held.resolve();
    await until(() => pulls() > before);
    using leased = await trees.lease(request("second"), never);
    expect(await contentOf(leased)).toEqual({ "fresh.txt": "fresh" });
  });

  it("refuses a pod's own registry whose image stacks a private layer otherwise", async () => {
    const hidden = twinLayer({ files: { hidden: "a private layer" } });
    const image = addImage(secret, [twinLayer({ files: { base: "its base" } }), hidden]);
    const mine = requestFor(`r.example/private@${image}`, { password: "owner" });
    (await trees.lease(mine, never))[Symbol.dispose]();
    const evil = addRepository(kit.registry.addHost("evil.example"), "x");
    const stacked = addImage(evil, [twinLayer({ files: { base: "another base" } }), hidden]);
    evil.blobs.delete(digestOf(hidden));
    await expect(trees.lease(requestFor(`evil.example/x@${stacked}`), never)).rejects.toEqual(
      failing("not-found"),
    );
  });

  it("refuses a pod's own registry that answers 200 to what a claim of this node pushed elsewhere", async () => {
    const pushed = addFiles(secret, { "pushed.txt": "pushed" });
    const directory = path.join(kit.root, "ingest/claim");
    await mkdir(path.join(directory, "fs"), { recursive: true });
    await writeFile(path.join(directory, "fs/written.txt"), "written");
    const layer = digestOf("the volume");
    await trees.claimLayers.adopt(directory, { id: layer, ownBytes: 1, inodes: 1 });
    const request = requestFor(`r.example/private@${pushed}`, { password: "owner" });
    const [access = accessTo("r.example/private:v1")] = request.accesses;
    const { platform } = request;
    await trees.claimLayers.register(access, { digest: pushed, platform, layers: [layer], blobs: new Set() });
    using leased = await trees.lease(request, never);
    expect(leased.layerIds).toEqual([layer]);
    const evil = addRepository(kit.registry.addHost("evil.example", { claimsAll: true }), "x");
    evil.manifests.set(pushed, secret.manifests.get(pushed) ?? { bytes: Buffer.of(), mediaType: "" });
    await expect(trees.lease(requestFor(`evil.example/x@${pushed}`), never)).rejects.toEqual(
      failing("not-found"),
    );
  });
});
