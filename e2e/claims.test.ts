// The story of claims through the real plugin: real mounts, a real registry, and the calls of a cluster.
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { basic } from "../testing/guard.ts";
import { orasCli } from "../testing/oras-cli.ts";
import { openRealRegistry, type RealRegistry, registryUser } from "../testing/real-registry.ts";
import { openRegistryDouble, type RegistryDouble } from "../testing/registry-double.ts";
import { unique } from "./artifact.ts";
import { ClaimCalls, type ClaimRequest, openClaimPlugin } from "./claim-calls.ts";
import { metric, page } from "./metrics.ts";
import { mountsAt } from "./mounts.ts";
import { digestsIn } from "./node-state.ts";
import type { Plugin } from "./plugin.ts";
import { kept, nothingLeft, refusalOf } from "./remains.ts";
import { serveFiles } from "./served.ts";
import { podVolume } from "./volume.ts";

const KIB = 2 ** 10;
const MIB = 2 ** 20;

let open: AsyncDisposableStack;
beforeEach(() => {
  open = new AsyncDisposableStack();
});
afterEach(async () => await open.disposeAsync());

const newNode = async (): Promise<Plugin> => open.use(await openClaimPlugin());

/** A claim of one key of one cache, at this registry. */
function cached(plugin: Plugin, host: string, request: ClaimRequest): ClaimCalls {
  const repository = `${host}/caches/\${cache}`;
  const parameters = { repository, cache: "m2", key: "main", when: "always", ...request.parameters };
  return new ClaimCalls({ plugin }, { ...request, parameters });
}

/** Written by one claim, which is deleted: what it held. */
async function round(
  claim: ClaimCalls,
  work: (at: string) => Promise<void>,
): Promise<Record<string, string>> {
  let held: Record<string, string> = {};
  await claim.runPod(async (at) => {
    await work(at);
    held = await digestsIn(at);
  });
  await claim.deleteAtLast();
  return held;
}

async function fillBuild(at: string): Promise<void> {
  await mkdir(path.join(at, "repo/deep/er"), { recursive: true });
  await writeFile(path.join(at, "repo/deep/er/big.jar"), unique(2 * MIB));
  await writeFile(path.join(at, "repo/small.pom"), "<project/>");
  await writeFile(path.join(at, "run.sh"), "#!/bin/sh\n");
  await chmod(path.join(at, "run.sh"), 0o755);
}

const sent = (plugin: Plugin) => metric(plugin, "larder_written_back_bytes_total");

async function tagsOf(host: string): Promise<readonly string[]> {
  const answer = await fetch(`http://${host}/v2/caches/m2/tags/list`);
  return ((await answer.json()) as { tags?: string[] }).tags ?? [];
}

/** Nothing of claims is left on the node but content that others may start from. */
async function expectNoClaims(plugin: Plugin): Promise<void> {
  for (const folder of ["claims", "volumes"]) expect(await kept(plugin, folder)).toEqual([]);
  await nothingLeft(plugin);
}

describe("a claim on a cache", { timeout: 180_000 }, () => {
  let registry: RealRegistry;
  beforeEach(async () => {
    registry = open.use(await openRealRegistry());
  });

  const ofM2 = (plugin: Plugin, name: string, parameters: Readonly<Record<string, string>> = {}) =>
    cached(plugin, registry.host, { name, parameters });

  it("starts empty, goes to the registry when it is deleted, and the next one has it all", async () => {
    const plugin = await newNode();
    const held = await round(ofM2(plugin, "first"), async (at) => {
      expect(await readdir(at)).toEqual([]);
      await fillBuild(at);
    });
    expect(Object.keys(held)).toHaveLength(3);
    const tags = await tagsOf(registry.host);
    expect(tags).toContain("main");
    expect(tags.filter((tag) => /^main\.\d+\.[a-z0-9]+$/.test(tag))).toHaveLength(1);
    expect(await sent(plugin)).toBeGreaterThan(2 * MIB);
    await expectNoClaims(plugin);

    const second = ofM2(plugin, "second");
    await second.runPod(async (at) => {
      expect(await digestsIn(at)).toEqual(held);
      expect((await stat(path.join(at, "run.sh"))).mode & 0o777).toBe(0o755);
    });
    const before = await sent(plugin);
    await second.deleteAtLast();
    // Nothing changed: nothing is pushed.
    expect(await sent(plugin)).toBe(before);
    expect(await tagsOf(registry.host)).toEqual(tags);
    await expectNoClaims(plugin);
  });

  it("sends few bytes for a small change, and another node has it too", async () => {
    const plugin = await newNode();
    await round(ofM2(plugin, "first"), fillBuild);
    const before = await sent(plugin);
    const held = await round(ofM2(plugin, "second"), async (at) => {
      await writeFile(path.join(at, "repo/small.pom"), "<project>2</project>");
      await rm(path.join(at, "run.sh"));
    });
    const change = (await sent(plugin)) - before;
    expect(change).toBeGreaterThan(0);
    expect(change).toBeLessThan(20 * KIB);
    expect(Object.keys(held).sort()).toEqual(["repo/deep/er/big.jar", "repo/small.pom"]);

    const other = await newNode();
    await ofM2(other, "third").runPod(async (at) => expect(await digestsIn(at)).toEqual(held));
  });

  it("comes back from the registry when the node's store is wiped", async () => {
    const plugin = await newNode();
    const held = await round(ofM2(plugin, "first"), fillBuild);
    await plugin.stop();
    await rm(plugin.root, { recursive: true });
    const again = open.use(await plugin.restart());
    const third = ofM2(again, "third");
    await third.runPod(async (at) => expect(await digestsIn(at)).toEqual(held));
    await third.deleteAtLast();
    await expectNoClaims(again);
  });

  it("is unpacked by plain oras pull in the portable format", async () => {
    const plugin = await newNode();
    const held = await round(ofM2(plugin, "first", { format: "portable" }), fillBuild);
    const folder = await mkdtemp(path.join(os.tmpdir(), "larder-pulled-"));
    open.defer(() => rm(folder, { recursive: true }));
    await orasCli(folder, ["pull", "--plain-http", `${registry.host}/caches/m2:main`]);
    expect(await digestsIn(folder)).toEqual(held);
  });

  it("is written back only when its pods ended well, where that is asked for", async () => {
    const plugin = await newNode();
    const parameters = { when: "success" };
    for (const [name, outcome] of [
      ["failed", "failure"],
      ["unknown", undefined],
    ] as const) {
      const claim = ofM2(plugin, name, parameters);
      await claim.runPod(fillBuild);
      if (outcome !== undefined) await claim.modify({ outcome });
      await claim.deleteAtLast();
      expect(await tagsOf(registry.host)).toEqual([]);
    }
    const good = ofM2(plugin, "good", parameters);
    await good.runPod(fillBuild);
    await good.modify({ outcome: "success" });
    await good.deleteAtLast();
    expect(await tagsOf(registry.host)).toContain("main");
    expect(await metric(plugin, 'larder_claims_total{event="created"}')).toBe(3);
    expect(await metric(plugin, 'larder_write_backs_total{key="moved"}')).toBe(1);
    await expectNoClaims(plugin);
  });

  it("is one directory under the layout copy, and is written back as well", async () => {
    const plugin = await newNode();
    const held = await round(ofM2(plugin, "first", { layout: "copy" }), fillBuild);
    const second = ofM2(plugin, "second", { layout: "copy" });
    const changed = await round(second, async (at) => {
      expect(await digestsIn(at)).toEqual(held);
      await writeFile(path.join(at, "run.sh"), "#!/bin/bash\n");
    });
    await ofM2(plugin, "third").runPod(async (at) => expect(await digestsIn(at)).toEqual(changed));
  });

  it("waits for its unstage when it is deleted before that", async () => {
    const plugin = await newNode();
    const claim = ofM2(plugin, "early");
    await claim.create();
    await claim.stage();
    await writeFile(path.join(await claim.publish({ pod: "user" }), "x"), "x");
    const deletion = claim.delete();
    await claim.unpublish("user");
    await claim.unstage();
    await deletion;
    expect(await tagsOf(registry.host)).toContain("main");
  });
});

describe("how a claim is used", { timeout: 120_000 }, () => {
  const claimOf = async (request: ClaimRequest) => {
    const plugin = await newNode();
    return { plugin, claim: new ClaimCalls({ plugin }, request) };
  };

  it("by several pods of one node that see each other's files", async () => {
    const { claim } = await claimOf({ name: "shared" });
    await claim.create();
    await claim.stage();
    const [one, two] = [await claim.publish({ pod: "one" }), await claim.publish({ pod: "two" })];
    await writeFile(path.join(one, "x"), "from one");
    expect(await readFile(path.join(two, "x"), "utf8")).toBe("from one");
    await claim.unpublish("one");
    expect(await readFile(path.join(two, "x"), "utf8")).toBe("from one");
  });

  it("read-only in the kernel, where a pod mounts it so", async () => {
    const { claim } = await claimOf({ name: "ro" });
    await claim.create();
    await claim.stage();
    const writable = await claim.publish({ pod: "writer" });
    const readOnly = await claim.publish({ pod: "reader", readOnly: true });
    await writeFile(path.join(writable, "x"), "x");
    expect(await readFile(path.join(readOnly, "x"), "utf8")).toBe("x");
    await expect(writeFile(path.join(readOnly, "y"), "y")).rejects.toMatchObject({ code: "EROFS" });
    expect((await mountsAt(readOnly)).at(-1)?.flags).toContain("ro");
  });

  it("read-only in the kernel, where its access mode is ROX", async () => {
    const { claim } = await claimOf({ name: "rox", mode: "MULTI_NODE_READER_ONLY" });
    await claim.create();
    await claim.stage();
    const at = await claim.publish({ pod: "reader" });
    await expect(writeFile(path.join(at, "y"), "y")).rejects.toMatchObject({ code: "EROFS" });
  });

  it("by one pod alone, where it is ReadWriteOncePod", async () => {
    const { claim } = await claimOf({ name: "rwop", mode: "SINGLE_NODE_SINGLE_WRITER" });
    await claim.create();
    await claim.stage();
    await claim.publish({ pod: "one" });
    const refusal = await refusalOf(claim.publish({ pod: "two" }));
    expect(refusal.code).toBe("FAILED_PRECONDITION");
    expect(refusal.message).toContain("ReadWriteOncePod");
    await claim.unpublish("one");
    await claim.publish({ pod: "two" });
  });

  it("by no pod of another node, nor as a block device", async () => {
    const { plugin, claim } = await claimOf({ name: "rwx", mode: "MULTI_NODE_MULTI_WRITER" });
    expect(await refusalOf(claim.create())).toMatchObject({
      code: "INVALID_ARGUMENT",
      message: expect.stringContaining("use ReadWriteOnce"),
    });
    const block = { block: {}, access_mode: { mode: "SINGLE_NODE_WRITER" } };
    const device = { name: "block", volume_capabilities: [block] };
    expect(await refusalOf(plugin.client.call("Controller", "CreateVolume", device))).toMatchObject({
      code: "INVALID_ARGUMENT",
      message: expect.stringContaining("use volumeMode: Filesystem"),
    });
    await expectNoClaims(plugin);
  });

  it("grows while pods use it", async () => {
    const { claim } = await claimOf({ name: "grows", bytes: 16 * MIB });
    await claim.create();
    await claim.stage();
    await claim.publish({ pod: "user" });
    expect(await claim.expand(32 * MIB)).toMatchObject({ capacity_bytes: String(32 * MIB) });
  });

  it("survives a restart of the plugin under its pods, and is gone when it is deleted", async () => {
    const { plugin, claim } = await claimOf({ name: "restart" });
    await claim.create();
    await claim.stage();
    const at = await claim.publish({ pod: "user" });
    await writeFile(path.join(at, "x"), "before");
    expect(await plugin.stop()).toBe(0);
    expect(await readFile(path.join(at, "x"), "utf8")).toBe("before");
    const again = open.use(await plugin.restart());
    const same = new ClaimCalls({ plugin: again }, { name: "restart" });
    await same.create();
    expect(same.id).toBe(claim.id);
    await writeFile(path.join(at, "x"), "after");
    await same.unpublish("user");
    await same.unstage();
    await same.delete();
    await expectNoClaims(again);
  });
});

describe("a claim and its registry", { timeout: 180_000 }, () => {
  let registry: RegistryDouble;
  beforeEach(async () => {
    registry = open.use(await openRegistryDouble());
  });

  const ofM2 = (plugin: Plugin, name: string, request: Partial<ClaimRequest> = {}) =>
    cached(plugin, registry.host, { name, ...request });

  const blobsAsked = () => registry.asked.filter(({ path: at }) => /\/blobs\/sha256:/.test(at)).length;

  it("asks for no blob of what was written back from here, though the head is asked", async () => {
    const plugin = await newNode();
    const held = await round(ofM2(plugin, "first"), fillBuild);
    const [blobs, asked] = [blobsAsked(), registry.asked.length];
    await ofM2(plugin, "second").runPod(async (at) => expect(await digestsIn(at)).toEqual(held));
    expect(registry.asked.length).toBeGreaterThan(asked);
    expect(blobsAsked()).toBe(blobs);
  });

  it("keeps its data while that is down, and goes when it is back", async () => {
    const plugin = await newNode();
    const claim = ofM2(plugin, "first");
    await claim.runPod(fillBuild);
    const down = { kind: "status", status: 503, headers: { "retry-after": "3600" } } as const;
    registry.spoilWhere(() => true, down, Number.POSITIVE_INFINITY);
    for (let tries = 0; tries < 2; tries++) {
      const refusal = await refusalOf(claim.delete());
      expect(refusal.code).toBe("UNAVAILABLE");
      expect(refusal.message).toContain(registry.host);
    }
    expect(await kept(plugin, "claims")).toEqual([claim.id]);
    expect(await metric(plugin, "larder_pending_write_backs")).toBe(1);
    registry.mend();
    await claim.deleteAtLast();
    expect(registry.pushes.tags()).toContain("main");
    expect(await metric(plugin, "larder_pending_write_backs")).toBe(0);
    await expectNoClaims(plugin);
    const other = await newNode();
    await ofM2(other, "second").runPod(async (at) =>
      expect(Object.keys(await digestsIn(at))).toHaveLength(3),
    );
  });

  it("says how far a write-back is when the call ends first, and joins it", async () => {
    const plugin = await newNode();
    const claim = ofM2(plugin, "first");
    await claim.runPod(fillBuild);
    const held = registry.hold(({ method }) => method === "PUT" || method === "PATCH");
    const refusal = await refusalOf(claim.delete({ deadlineMs: 10_000 }));
    expect(refusal.code).toBe("ABORTED");
    expect(refusal.message).toMatch(/caches\/m2|first|Pack|Delet/);
    held.release();
    await claim.deleteAtLast();
    expect(registry.pushes.tags()).toContain("main");
  });

  it("goes on with a write-back that a stop of the plugin ended", async () => {
    const plugin = await newNode();
    const claim = ofM2(plugin, "first");
    await claim.runPod(fillBuild);
    const held = registry.hold(({ method }) => method === "PUT" || method === "PATCH");
    open.defer(() => held.release());
    expect((await refusalOf(claim.delete({ deadlineMs: 10_000 }))).code).toBe("ABORTED");
    expect(await plugin.stop()).toBe(0);
    held.release();
    const again = open.use(await plugin.restart());
    const same = ofM2(again, "first");
    same.id = claim.id;
    await same.deleteAtLast();
    expect(registry.pushes.tags()).toContain("main");
    await expectNoClaims(again);
  });

  it("tells in CreateVolume's reply what ails it, the same however often it is asked, and starts from its cache when it is back", async () => {
    const plugin = await newNode();
    const held = await round(ofM2(plugin, "first"), fillBuild);
    const other = await newNode();
    const down = { kind: "status", status: 503, headers: { "retry-after": "3600" } } as const;
    registry.spoilWhere(() => true, down, Number.POSITIVE_INFINITY);
    const claim = ofM2(other, "second");
    const { volume } = await claim.create();
    const warning = claim.context["warning"];
    expect(warning).toMatch(/has no base yet, and its first stage looks again: .*503/);
    const asked = registry.asked.length;
    expect((await claim.create())["volume"]).toEqual(volume);
    expect(registry.asked.length).toBe(asked);
    registry.mend();
    await claim.runPod(async (at) => expect(await digestsIn(at)).toEqual(held));
    expect(claim.context["warning"]).toBe(warning);
    await claim.deleteAtLast();
  });

  it("is asked for its head once by all calls of a claim that starts at once", async () => {
    const plugin = await newNode();
    await round(ofM2(plugin, "first"), fillBuild);
    const before = registry.asked.length;
    await ofM2(plugin, "second").runPod(async () => undefined);
    expect(registry.asked.length - before).toBe(1);
  });

  it("never fails its pod for it: it starts empty after base-deadline, and never moves the key", async () => {
    const plugin = await newNode();
    await round(ofM2(plugin, "first"), fillBuild);
    const head = registry.pushes.digestOf("main");
    const other = await newNode();
    const down = { kind: "status", status: 503, headers: { "retry-after": "3600" } } as const;
    registry.spoilWhere(() => true, down, Number.POSITIVE_INFINITY);
    const claim = ofM2(other, "second", { parameters: { "base-deadline": "0s" } });
    await claim.runPod(async (at) => {
      expect(await readdir(at)).toEqual([]);
      await writeFile(path.join(at, "less"), "less");
    });
    registry.mend();
    await claim.deleteAtLast();
    expect(registry.pushes.digestOf("main")).toBe(head);
    expect(registry.pushes.tags().filter((tag) => tag.startsWith("main."))).toHaveLength(2);
    expect(await metric(other, 'larder_write_backs_total{key="left"}')).toBe(1);
  });
});

describe("a claim and its secrets", { timeout: 120_000 }, () => {
  it("is written back with the provisioner's, which nobody finds on the disk or in the log", async () => {
    const registry = open.use(await openRealRegistry({ password: true }));
    const plugin = await newNode();
    const claim = cached(plugin, registry.host, { name: "first", secrets: registryUser });
    await round(claim, fillBuild);
    const second = cached(plugin, registry.host, { name: "second", secrets: registryUser });
    await second.runPod(async (at) => expect(Object.keys(await digestsIn(at))).toHaveLength(3));
    expect(plugin.log.join("\n")).not.toContain(registryUser.password);
    const files = await readdir(plugin.root, { recursive: true, withFileTypes: true });
    const small = files.filter((entry) => entry.isFile() && !entry.parentPath.includes("/compile"));
    for (const entry of small) {
      const text = await readFile(path.join(entry.parentPath, entry.name), "latin1");
      expect(text.includes(registryUser.password), entry.name).toBe(false);
    }
  });

  it("never takes the key from a head that was disguised as absent to those it was staged with", async () => {
    const registry = open.use(await openRegistryDouble());
    const [reader, owner] = [
      { username: "reader", password: "r" },
      { username: "owner", password: "o" },
    ];
    const by = ({ username, password }: typeof owner) => basic(username, password);
    const always = Number.POSITIVE_INFINITY;
    const challenge = { "www-authenticate": 'Basic realm="double"' };
    const without = { kind: "status", status: 401, headers: challenge } as const;
    registry.spoilWhere(({ headers }) => headers["authorization"] === undefined, without, always);
    const hidden = { kind: "status", status: 404 } as const;
    registry.spoilWhere(({ headers }) => headers["authorization"] === by(reader), hidden, always);
    await round(cached(await newNode(), registry.host, { name: "first", secrets: owner }), fillBuild);
    const head = registry.pushes.digestOf("main");
    expect(head).toBeDefined();
    const plugin = await newNode();
    const claim = cached(plugin, registry.host, { name: "second", secrets: reader });
    await claim.runPod(async (at) => {
      expect(Object.keys(await digestsIn(at))).toEqual([]);
      await writeFile(path.join(at, "little"), "little");
    });
    const deleted = cached(plugin, registry.host, { name: "second", secrets: owner });
    deleted.id = claim.id;
    await deleted.deleteAtLast();
    expect(registry.pushes.digestOf("main")).toBe(head);
    expect(registry.pushes.tags()).toHaveLength(3);
    expect(plugin.log.join("\n")).toContain("were told that there was none");
    await expectNoClaims(plugin);
    // Who is shown it goes on from it, and has the key.
    const third = cached(plugin, registry.host, { name: "third", secrets: owner });
    await round(third, async (at) => {
      expect(Object.keys(await digestsIn(at))).toHaveLength(3);
      await writeFile(path.join(at, "more"), "more");
    });
    expect(registry.pushes.digestOf("main")).not.toBe(head);
  });

  it("is told of another writer of its key, whoever of both is newer, beside the OK and in a metric", async () => {
    const registry = open.use(await openRegistryDouble());
    const [one, other] = [await newNode(), await newNode()];
    const claim = (plugin: Plugin, name: string) => cached(plugin, registry.host, { name });
    const [first, last] = [claim(one, "first"), claim(one, "last")];
    const between = claim(other, "between");
    // All of them begin before there is a head.
    for (const each of [first, last, between])
      await each.runPod(async (at) => await writeFile(path.join(at, "file"), unique(KIB)));
    const down = { kind: "status", status: 503, headers: { "retry-after": "3600" } } as const;
    registry.spoilWhere(() => true, down, Number.POSITIVE_INFINITY);
    // It is committed now, and so the oldest.
    expect((await refusalOf(first.delete())).code).toBe("UNAVAILABLE");
    registry.mend();
    await between.deleteAtLast();
    const head = registry.pushes.digestOf("main") ?? "";
    expect(between.notes).toEqual([]);
    await first.deleteAtLast();
    expect(first.notes).toEqual([expect.stringContaining(`its key "main" stays with ${head} of another`)]);
    expect(registry.pushes.digestOf("main")).toBe(head);
    await last.deleteAtLast();
    expect(last.notes).toEqual([expect.stringContaining(`has taken the key "main" from ${head} of another`)]);
    expect(registry.pushes.tags()).toHaveLength(4);
    for (const [plugin, end, count] of [
      [one, "lost", 1],
      [one, "won", 1],
      [other, "won", 0],
    ] as const)
      expect(await metric(plugin, `larder_key_contests_total{end="${end}"}`)).toBe(count);
    const next = claim(other, "next");
    await next.runPod(async (at) => await writeFile(path.join(at, "more"), "more"));
    await next.deleteAtLast();
    expect(next.notes).toEqual([]);
  });

  it("is told what is missing without them, and waits", async () => {
    const registry = open.use(await openRealRegistry({ password: true }));
    const plugin = await newNode();
    const parameters = { "base-deadline": "0s" };
    const claim = cached(plugin, registry.host, { name: "first", parameters });
    await claim.runPod(fillBuild);
    const refusal = await refusalOf(claim.delete());
    expect(refusal.code).toBe("UNAUTHENTICATED");
    expect(refusal.message).toContain("provisioner-secret-name");
    expect(await kept(plugin, "claims")).toHaveLength(1);
  });
});

describe("a node without ORAS", { timeout: 120_000 }, () => {
  it("starts, says so, and keeps what it cannot write back", async () => {
    const registry = open.use(await openRegistryDouble());
    const plugin = open.use(await openClaimPlugin({ settings: { oras: "/nowhere/oras" } }));
    const words = 'Caches are not written back: there is no program "/nowhere/oras"';
    expect(plugin.log.join("\n")).toContain(JSON.stringify(words).slice(1, -1));
    expect((await page(plugin, "/readyz")).text).toContain(words);
    const claim = cached(plugin, registry.host, { name: "first" });
    await claim.runPod(fillBuild);
    const refusal = await refusalOf(claim.delete());
    expect(refusal.code).toBe("UNAVAILABLE");
    expect(refusal.message).toContain("/nowhere/oras");
    expect(await kept(plugin, "claims")).toEqual([claim.id]);
  });
});

describe("a PersistentVolume that names an artifact", { timeout: 60_000 }, () => {
  it("is staged and unstaged by the kubelet without effect, and published as ever", async () => {
    const registry = open.use(await openRegistryDouble());
    const plugin = await newNode();
    const attributes = { reference: serveFiles(registry, "v1", { "x.txt": "x" }) };
    const volume = await podVolume(plugin, { attributes, id: "by-hand", persistent: true });
    const staging = { volume_id: volume.id, staging_target_path: path.join(plugin.folder, "staging") };
    const capability = { mount: {}, access_mode: { mode: "MULTI_NODE_READER_ONLY" } };
    const stage = { ...staging, volume_capability: capability, volume_context: attributes };
    await plugin.client.call("Node", "NodeStageVolume", stage);
    await volume.publish();
    expect(await readFile(path.join(volume.target, "x.txt"), "utf8")).toBe("x");
    await volume.unpublish();
    await plugin.client.call("Node", "NodeUnstageVolume", staging);
    await nothingLeft(plugin);
  });
});
