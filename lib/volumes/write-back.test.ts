// A claim's way to the registry and back, over the real store, packer, ORAS and registry.
import { execFileSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import os from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { orasCli } from "../../testing/oras-cli.ts";
import { openRealRegistry, type RealRegistry, registryUser } from "../../testing/real-registry.ts";
import { openRegistryDouble } from "../../testing/registry-double.ts";
import { areTrimsSealed, sealTrims } from "../archive/trim-journal.ts";
import { digestOf, hexOf } from "../core/digest.ts";
import { Failure, isFailure, type Reason } from "../core/failure.ts";
import { readPolicy } from "./claim-room.ts";
import { contentOf, listOf, RealClaim } from "./testing/real-claim.ts";
import { type RealDeps, RealNode, type RealNodeOptions, Stopped } from "./testing/real-node.ts";
import { packedOf } from "./trim-claim.ts";
import { openWriteBack } from "./write-back.ts";

const being = (reason: Reason) => expect.toSatisfy((error) => isFailure(error, reason)) as unknown;

let open: AsyncDisposableStack;
let registry: RealRegistry;
let folder: string;
beforeEach(async () => {
  open = new AsyncDisposableStack();
  registry = open.use(await openRealRegistry());
  folder = mkdtempSync(path.join(os.tmpdir(), "larder-back-"));
  open.defer(() => rmSync(folder, { recursive: true }));
});
afterEach(async () => await open.disposeAsync());

const newNode = (options?: ConstructorParameters<typeof RealNode>[0]) => open.use(new RealNode(options));

const cached = (more: Record<string, string> = {}, host = registry.host) =>
  new Map(
    Object.entries({
      repository: `${host}/caches/\${cache}`,
      cache: "m2",
      key: "main",
      when: "always",
      ...more,
    }),
  );

/** The write-back is cut short after that step, as a crash would. */
async function deleteUntil(step: RealNode["stopAt"], node: RealNode, claim: RealClaim): Promise<void> {
  node.stopAt = step;
  await expect(claim.delete()).rejects.toThrow(Stopped);
  node.stopAt = undefined;
}

async function begin(
  node: RealNode,
  deps: RealDeps,
  name: string,
  more: Record<string, string> = {},
): Promise<RealClaim> {
  return await RealClaim.begin(node, deps, { name, parameters: cached(more) });
}

/** Big enough, and random, that sending it again would show. */
const BIG = 300_000;

function fillFirst(at: string): void {
  mkdirSync(path.join(at, "deep/er"), { recursive: true });
  writeFileSync(
    path.join(at, "deep/er/big"),
    Buffer.from(Array.from({ length: BIG }, (_, i) => (i * i * 31) % 251)),
  );
  writeFileSync(path.join(at, "gone"), "gone soon");
  writeFileSync(path.join(at, "run"), "#!/bin/sh\n");
  chmodSync(path.join(at, "run"), 0o755);
}

/** One round: a claim that `change` is done to, and that is written back. */
async function round(
  node: RealNode,
  deps: RealDeps,
  name: string,
  change: (upper: string) => void,
  more: Record<string, string> = {},
): Promise<void> {
  const claim = await begin(node, deps, name, more);
  change(claim.upper);
  await claim.unstage();
  await claim.delete();
}

const sentBy = (node: RealNode) =>
  node.log.lines.flatMap(({ sentBytes }) => (sentBytes === undefined ? [] : Number(sentBytes)));

const oras = (...args: string[]) => orasCli(folder, args);
const repository = () => `${registry.host}/caches/m2`;
const tags = async () => (await oras("repo", "tags", "--plain-http", repository())).trim().split("\n").sort();
const manifestOf = async (tag: string) =>
  JSON.parse(await oras("manifest", "fetch", "--plain-http", `${repository()}:${tag}`)) as {
    layers: ReadonlyArray<{ digest: string; size: number; mediaType: string }>;
    annotations: Record<string, string>;
  };

const packedNames = (node: RealNode, { record }: RealClaim) => listOf(packedOf(node.root, record));

function flip(at: string): void {
  const bytes = readFileSync(at);
  bytes[bytes.length - 1] = (bytes.at(-1) ?? 0) ^ 1;
  writeFileSync(at, bytes);
}

function writeManifest(manifest: object): string {
  const at = path.join(folder, "manifest.json");
  writeFileSync(at, JSON.stringify(manifest));
  return at;
}

const digestOfTag = async (tag: string) =>
  (await oras("resolve", "--plain-http", `${repository()}:${tag}`)).trim();

const gidsOf = (directory: string) => [
  ...new Set(["", ...listOf(directory)].map((name) => statSync(path.join(directory, name)).gid)),
];

describe("deleteClaim() with what packClaim() and pushClaim() do", () => {
  it("pushes what changed, generation by generation, and another node has it identical", async () => {
    const node = newNode();
    const deps = await node.start();
    await round(node, deps, "one", fillFirst);
    await round(node, deps, "two", (upper) => {
      writeFileSync(path.join(upper, "small"), "small");
      execFileSync("mknod", [path.join(upper, "gone"), "c", "0", "0"]);
    });
    const [first = 0, second = 0] = sentBy(node);
    expect(first).toBeGreaterThan(second);
    expect(second).toBeLessThan(2_000);
    expect((await manifestOf("main")).layers).toHaveLength(2);
    const bytesBefore = node.rig.bytesBy.get("upstream") ?? 0;
    const here = await begin(node, deps, "three");
    expect(node.rig.bytesBy.get("upstream") ?? 0).toBe(bytesBefore);
    const other = newNode();
    const there = await begin(other, await other.start(), "three");
    const [shownHere, shownThere] = [await here.show(), await there.show()];
    expect(listOf(shownThere)).toEqual(["deep", "deep/er", "deep/er/big", "run", "small"]);
    expect(contentOf(shownThere)).toEqual(contentOf(shownHere));
    expect(readFileSync(path.join(shownThere, "deep/er/big"))).toHaveLength(BIG);
    expect(there.record.base).toMatchObject({ origin: "head", isTainted: false });
  });

  it("pushes nothing where nothing changed, whatever was written anew", async () => {
    const node = newNode();
    const deps = await node.start();
    await round(node, deps, "one", fillFirst);
    const before = await tags();
    await round(node, deps, "two", (upper) => writeFileSync(path.join(upper, "gone"), "gone soon"));
    expect(await tags()).toEqual(before);
    expect(sentBy(node)).toHaveLength(1);
    expect(deps.claims.all.size).toBe(0);
    expect(listOf(path.join(node.root, "volumes"))).toEqual([]);
  });

  it("knows what a Layer takes where the kernel counts nothing", async () => {
    const node = newNode();
    const deps = await node.start();
    const claim = await begin(node, deps, "one");
    fillFirst(claim.upper);
    await claim.unstage();
    node.stopAt = "begun";
    await expect(claim.delete()).rejects.toThrow(Stopped);
    const layer = claim.record.commit?.layer;
    const bytes = deps.layers.bytesOf(layer === undefined ? [] : [layer]);
    expect(bytes).toBeGreaterThanOrEqual(BIG);
    expect(bytes).toBeLessThan(2 * BIG);
  });

  it("pushes nothing of what was only made over for groups, and shows each all as its own", async () => {
    const node = newNode();
    const deps = await node.start();
    const first = await RealClaim.begin(node, deps, { name: "one", parameters: cached(), group: "7" });
    fillFirst(first.upper);
    expect(gidsOf(await first.show())).toEqual([7]);
    await first.unstage();
    await first.delete();
    const before = await tags();
    for (const [name, group] of [
      ["two", "8"],
      ["three", "7"],
    ] as const) {
      const claim = await RealClaim.begin(node, deps, { name, parameters: cached(), group });
      const shown = await claim.show();
      expect(gidsOf(shown)).toEqual([Number(group)]);
      expect(statSync(path.join(shown, "deep/er")).mode & 0o7777).toBe(0o2775);
      // As an overlay copies up what is opened to be written.
      execFileSync("cp", ["-a", path.join(shown, "run"), path.join(shown, "deep"), claim.upper]);
      await claim.unstage();
      await claim.delete();
      expect(await tags()).toEqual(before);
    }
    const other = newNode();
    const there = await RealClaim.begin(other, await other.start(), { name: "one", parameters: cached() });
    const shown = await there.show();
    expect(gidsOf(shown)).toEqual([0]);
    expect(statSync(path.join(shown, "deep/er")).mode & 0o7777).toBe(0o755);
    expect(statSync(path.join(shown, "run")).mode & 0o7777).toBe(0o755);
  });

  it("pushes nothing of a claim that began empty and stayed so", async () => {
    const node = newNode();
    await round(node, await node.start(), "one", () => undefined);
    expect(sentBy(node)).toEqual([]);
  });

  it.each([
    "begun",
    "base",
    "blob",
    "config",
    "manifest",
    "checked",
    "version-tag",
    "key-tag",
    "key-checked",
    "registered",
    "confirmed",
  ])("makes the same version once, stopped after the step %s and started again", async (step) => {
    const node = newNode();
    const deps = await node.start();
    await round(node, deps, "one", fillFirst);
    const claim = await begin(node, deps, "two");
    // What equals the base is trimmed, so that the second packing finds another Layer than the first.
    fillFirst(claim.upper);
    writeFileSync(path.join(claim.upper, "small"), "small");
    await claim.unstage();
    node.stopAt = step;
    await expect(claim.delete()).rejects.toThrow(Stopped);
    const { push } = claim.record;
    node.stopAt = undefined;
    const again = await node.restart();
    await claim.delete(again);
    expect(again.claims.all.size).toBe(0);
    expect(await tags()).toHaveLength(3);
    expect(await digestOfTag("main")).toBe(push?.manifest);
    expect(push?.versionTag).toMatch(/^main\.\d{13}\.id2$/);
    const other = newNode();
    const there = await begin(other, await other.start(), "three");
    expect(listOf(await there.show())).toEqual(["deep", "deep/er", "deep/er/big", "gone", "run", "small"]);
  });

  it("takes what it tagged before, whatever packing it again would give", async () => {
    const node = newNode();
    const claim = await begin(node, await node.start(), "one");
    fillFirst(claim.upper);
    await claim.unstage();
    node.stopAt = "version-tag";
    await expect(claim.delete()).rejects.toThrow(Stopped);
    const { push } = claim.record;
    node.stopAt = undefined;
    const again = await node.restart();
    await claim.delete({ ...again, pack: () => Promise.reject(new Error("packed again")) });
    expect(again.claims.all.size).toBe(0);
    expect(await tags()).toEqual(["main", push?.versionTag]);
    expect(await digestOfTag("main")).toBe(push?.manifest);
  });

  it.each(["in the same life", "started again"])(
    "sends with the next call only what the registry lacks, packing nothing again, %s",
    async (again) => {
      const double = open.use(await openRegistryDouble());
      const node = newNode({ layerMax: 1000 });
      let deps = await node.start();
      const parameters = cached({}, double.host);
      const claim = await RealClaim.begin(node, deps, { name: "one", parameters });
      for (const name of ["a", "b"]) writeFileSync(path.join(claim.upper, name), randomBytes(BIG));
      await claim.unstage();
      const sent = () =>
        double.asked
          .filter(({ method }) => method === "PUT")
          .flatMap(({ query }) => new URLSearchParams(query).get("digest") ?? []);
      const down = { kind: "status", status: 503, headers: { "retry-after": "3600" } } as const;
      double.spoilWhere(() => new Set(sent()).size > 1, down, Number.POSITIVE_INFINITY);
      await expect(claim.delete()).rejects.toEqual(being("unavailable"));
      const [first, second] = sent();
      expect(packedNames(node, claim)).toEqual(["packed.json", "part-0", "part-1"]);
      double.mend();
      if (again === "started again") deps = await node.restart();
      const before = sent().length;
      const packs = ["packDelta", "packMerged"].map((name) => vi.spyOn(deps.packer, name as "packDelta"));
      await claim.delete(deps);
      expect(packs.map(({ mock }) => mock.calls.length)).toEqual([0, 0]);
      // And the config.
      expect(sent().slice(before)).toEqual([second, expect.not.stringContaining(first ?? "")]);
      const [sentBytes = 0] = sentBy(node);
      expect(sentBytes).toBeGreaterThan(BIG);
      expect(sentBytes).toBeLessThan(1.5 * BIG);
      expect(listOf(path.join(node.root, "volumes"))).toEqual([]);
    },
  );

  it.each<[string, (directory: string) => void]>([
    ["an archive is cut", (directory) => truncateSync(path.join(directory, "part-0"), 100)],
    ["an archive has other bytes", (directory) => flip(path.join(directory, "part-0"))],
    ["an archive is gone", (directory) => rmSync(path.join(directory, "part-0"))],
    ["the note of it is torn", (directory) => truncateSync(path.join(directory, "packed.json"), 100)],
    ["the note of it is gone", (directory) => rmSync(path.join(directory, "packed.json"))],
  ])("packs the same bytes again where %s", async (_, spoil) => {
    const node = newNode();
    const deps = await node.start();
    await round(node, deps, "one", fillFirst);
    const claim = await begin(node, deps, "two");
    // What equals the base is trimmed, so that the second packing finds another Layer than the first.
    fillFirst(claim.upper);
    writeFileSync(path.join(claim.upper, "small"), "small");
    await claim.unstage();
    node.stopAt = "begun";
    await expect(claim.delete()).rejects.toThrow(Stopped);
    const { push } = claim.record;
    spoil(packedOf(node.root, claim.record));
    node.stopAt = undefined;
    await claim.delete(await node.restart());
    expect(await digestOfTag("main")).toBe(push?.manifest);
  });

  it("trims by what it packed before, once no claim is based on the Layer any more", async () => {
    const node = newNode();
    const deps = await node.start();
    await round(node, deps, "one", fillFirst);
    const claim = await begin(node, deps, "two");
    fillFirst(claim.upper);
    writeFileSync(path.join(claim.upper, "small"), "small");
    await claim.unstage();
    const late = new Failure("unavailable", "Cannot pack it yet");
    await expect(claim.delete({ ...deps, pack: () => Promise.reject(late) })).rejects.toBe(late);
    const user = await begin(node, deps, "three", { policy: "discard" });
    expect(user.record.base?.origin).toBe("local");
    node.stopAt = "begun";
    await expect(claim.delete()).rejects.toThrow(Stopped);
    const [content = ""] = deps.trees.contents(claim.record.commit ? [claim.record.commit.layer] : []) ?? [];
    expect(listOf(content)).toContain("gone");
    node.stopAt = undefined;
    await user.unstage();
    await user.delete();
    const packing = vi.spyOn(deps.packer, "packDelta");
    await claim.delete();
    expect(packing).not.toHaveBeenCalled();
    expect(listOf(content)).toEqual(["small"]);
  });

  it.each([
    ["empty", () => ""],
    ["cut", (text: string) => text.slice(0, text.length / 2)],
    ["full of zeros", (text: string) => "\0".repeat(text.length)],
  ] as const)("packs again where a power loss made its journal of trims %s", async (_how, damage) => {
    const node = newNode();
    const deps = await node.start();
    await round(node, deps, "one", fillFirst);
    const claim = await begin(node, deps, "two");
    fillFirst(claim.upper);
    writeFileSync(path.join(claim.upper, "small"), "small");
    await claim.unstage();
    const late = new Failure("unavailable", "Cannot pack it yet");
    await expect(claim.delete({ ...deps, pack: () => Promise.reject(late) })).rejects.toBe(late);
    const user = await begin(node, deps, "three", { policy: "discard" });
    await deleteUntil("begun", node, claim);
    await user.unstage();
    await user.delete();
    const journals = packedNames(node, claim).filter((name) => /^trim-\d$/.test(name));
    expect(journals.length).toBeGreaterThan(0);
    for (const name of journals) {
      const at = path.join(packedOf(node.root, claim.record), name);
      writeFileSync(at, damage(readFileSync(at, "latin1")), "latin1");
    }
    const [content = ""] = deps.trees.contents(claim.record.commit ? [claim.record.commit.layer] : []) ?? [];
    const packing = vi.spyOn(deps.packer, "packDelta");
    await claim.delete();
    expect(packing).toHaveBeenCalledOnce();
    expect(listOf(content)).toEqual(["small"]);
  });

  it("counts what is packed and waits against what write-backs may hold", async () => {
    const node = newNode();
    const deps = await node.start();
    const claim = await begin(node, deps, "one");
    writeFileSync(path.join(claim.upper, "a"), randomBytes(BIG));
    await claim.unstage();
    node.stopAt = "begun";
    await expect(claim.delete()).rejects.toThrow(Stopped);
    const { commit, terms, settings } = claim.record;
    const bytes = deps.layers.bytesOf(commit === undefined ? [] : [commit.layer]);
    const policyAt = async (pending: number) =>
      (await readPolicy({ ...deps, pending: { kind: "bytes", bytes: pending } }, { terms, settings })).policy;
    expect(await policyAt(bytes + BIG - 1)).toBe("pull");
    expect(await policyAt(bytes + BIG + 10_000)).toBe("pull-push");
  });

  it("moves its version's tag where that has lost its base since, rather than to say conflict for ever", async () => {
    const node = newNode();
    const deps = await node.start();
    await round(node, deps, "one", fillFirst);
    const claim = await begin(node, deps, "two");
    writeFileSync(path.join(claim.upper, "small"), "small");
    await claim.unstage();
    node.stopAt = "version-tag";
    await expect(claim.delete()).rejects.toThrow(Stopped);
    const { push } = claim.record;
    node.stopAt = undefined;
    const [lost] = (await manifestOf("main")).layers;
    await oras("blob", "delete", "--force", "--plain-http", `${repository()}@${lost?.digest}`);
    await claim.delete(await node.restart());
    expect(await digestOfTag(push?.versionTag ?? "")).not.toBe(push?.manifest);
    expect(await digestOfTag("main")).toBe(await digestOfTag(push?.versionTag ?? ""));
    const other = newNode();
    const there = await begin(other, await other.start(), "three");
    expect(listOf(await there.show())).toEqual(expect.arrayContaining(["deep/er/big", "small"]));
  });

  it("writes a portable cache that plain `oras pull` unpacks", async () => {
    const node = newNode();
    const deps = await node.start();
    const portable = { format: "portable" };
    await round(node, deps, "one", fillFirst, portable);
    await round(
      node,
      deps,
      "two",
      (upper) => execFileSync("mknod", [path.join(upper, "gone"), "c", "0", "0"]),
      portable,
    );
    await oras("pull", "--plain-http", "--output", "plain", `${repository()}:main`);
    expect(listOf(path.join(folder, "plain"))).toEqual(["deep", "deep/er", "deep/er/big", "run"]);
    expect((await manifestOf("main")).layers).toHaveLength(1);
    const here = await begin(node, deps, "three", portable);
    expect(contentOf(path.join(folder, "plain"))).toEqual(contentOf(await here.show()));
  });

  it("packs all of a copy on a node where no claim has begun with nothing yet", async () => {
    const first = newNode();
    await round(first, await first.start(), "one", fillFirst);
    const node = newNode();
    await round(
      node,
      await node.start(),
      "two",
      (copy) => rmSync(path.join(copy, "deep"), { recursive: true }),
      {
        layout: "copy",
        format: "portable",
      },
    );
    await oras("pull", "--plain-http", "--output", "plain", `${repository()}:main`);
    expect(listOf(path.join(folder, "plain"))).toEqual(["gone", "run"]);
  });

  it("pushes only the change under the layout copy, and attaches the copy as one Layer here", async () => {
    const node = newNode();
    const deps = await node.start();
    const copy = { layout: "copy" };
    await round(node, deps, "one", fillFirst, copy);
    const change = (upper: string) => {
      rmSync(path.join(upper, "gone"));
      writeFileSync(path.join(upper, "small"), "small");
    };
    await round(node, deps, "two", change, copy);
    expect((await manifestOf("main")).layers).toHaveLength(2);
    expect(sentBy(node)[1]).toBeLessThan(2_000);
    const here = await begin(node, deps, "three");
    expect(here.record.base?.layers).toHaveLength(1);
    const other = newNode();
    const there = await begin(other, await other.start(), "three");
    expect(listOf(await there.show())).toEqual(["deep", "deep/er", "deep/er/big", "run", "small"]);
    expect(contentOf(await there.show())).toEqual(contentOf(await here.show()));
  });

  it("writes devices of container storage back where that is asked, and shows them in a copy on any node", async () => {
    const node = newNode();
    const deps = await node.start();
    const copy = { layout: "copy", devices: "true" };
    const mknod = (at: string, name: string) => execFileSync("mknod", [path.join(at, name), "c", "0", "0"]);
    const isDevice = (at: string, name: string) => statSync(path.join(at, name)).isCharacterDevice();
    await round(node, deps, "one", (upper) => (fillFirst(upper), mknod(upper, "deep/one")), copy);
    await round(node, deps, "two", (upper) => mknod(upper, "two"), copy);
    expect((await manifestOf("main")).layers).toHaveLength(2);
    const other = newNode();
    for (const [place, there] of [
      [node, deps],
      [other, await other.start()],
    ] as const) {
      const { upper } = await begin(place, there, "three", copy);
      expect([isDevice(upper, "deep/one"), isDevice(upper, "two")]).toEqual([true, true]);
    }
  });

  it("leaves devices out of a copy where that is not asked, here and there", async () => {
    const node = newNode();
    const deps = await node.start();
    const copy = { layout: "copy" };
    const make = (upper: string) => {
      fillFirst(upper);
      execFileSync("mknod", [path.join(upper, "null"), "c", "1", "3"]);
    };
    await round(node, deps, "one", make, copy);
    const other = newNode();
    for (const [place, there] of [
      [node, deps],
      [other, await other.start()],
    ] as const) {
      const { upper } = await begin(place, there, "two", copy);
      expect(listOf(upper)).toEqual(["deep", "deep/er", "deep/er/big", "gone", "run"]);
    }
  });

  it("leaves a head that outgrew max-size alone, says so, and starts the next claim empty and free to move the key", async () => {
    const node = newNode();
    const deps = await node.start();
    await round(node, deps, "one", fillFirst);
    const small = { "max-size": "100Ki" };
    const before = await manifestOf("main");
    const claim = await begin(node, deps, "two", small);
    expect(listOf(claim.upper)).toEqual([]);
    expect(claim.record.base).toMatchObject({ origin: "empty", layers: [], isTainted: false });
    expect(node.log.lines.some(({ message }) => message.includes("more than its max-size of 100 KiB"))).toBe(
      true,
    );
    expect(await manifestOf("main")).toEqual(before);
    writeFileSync(path.join(claim.upper, "anew"), "anew");
    await claim.unstage();
    await claim.delete();
    const next = await begin(node, deps, "three", small);
    expect(listOf(await next.show())).toEqual(["anew"]);
  });

  it("never outgrows max-size by what it replaces, in the registry and as a head that is here alone", async () => {
    const node = newNode();
    const deps = await node.start();
    const most = { "max-size": "500Ki" };
    const rewrite = (upper: string) => writeFileSync(path.join(upper, "db"), randomBytes(BIG));
    for (const name of ["one", "two", "three"]) {
      await round(node, deps, name, rewrite, most);
      const told = Number((await manifestOf("main")).annotations["dev.larder.cache.bytes"]);
      expect(told).toBeGreaterThanOrEqual(BIG);
      expect(told).toBeLessThan(1.1 * BIG);
    }
    expect((await manifestOf("main")).layers).toHaveLength(3);
    const other = newNode();
    const there = await begin(other, await other.start(), "four", most);
    expect(there.record.base).toMatchObject({ origin: "head" });
    rewrite(there.upper);
    await there.unstage();
    other.stopAt = "begun";
    await expect(there.delete()).rejects.toThrow(Stopped);
    const next = await begin(other, await other.restart(), "five", most);
    expect(next.record.base).toMatchObject({ origin: "local" });
    expect(next.record.base?.bytes).toBeLessThan(1.1 * BIG);
    expect(readFileSync(path.join(await next.show(), "db"))).toHaveLength(BIG);
  });

  it("counts what it starts from as much as before where that tells nothing of its size", async () => {
    const node = newNode();
    const deps = await node.start();
    await round(node, deps, "one", fillFirst, { cache: "seeds" });
    const plain = JSON.parse(
      await oras("manifest", "fetch", "--plain-http", `${registry.host}/caches/seeds:main`),
    ) as { annotations?: object; layers: ReadonlyArray<{ size: number }> };
    delete plain.annotations;
    await oras(
      "manifest",
      "push",
      "--plain-http",
      `${registry.host}/caches/seeds:plain`,
      writeManifest(plain),
    );
    const from = { from: `${registry.host}/caches/seeds:plain` };
    await round(node, deps, "two", (upper) => writeFileSync(path.join(upper, "gone"), "more"), from);
    const packed = plain.layers.reduce((sum, { size }) => sum + size, 0);
    const told = Number((await manifestOf("main")).annotations["dev.larder.cache.bytes"]);
    expect(told).toBe("more".length + packed - "gone soon".length);
  });

  it("makes a chain that grew too deep one layer", async () => {
    const node = newNode({ chainMax: 2 });
    const deps = await node.start();
    await round(node, deps, "one", fillFirst);
    for (const name of ["two", "three"])
      await round(node, deps, name, (upper) => writeFileSync(path.join(upper, name), name));
    expect((await manifestOf("main")).layers).toHaveLength(1);
    const bytesBefore = node.rig.bytesBy.get("upstream") ?? 0;
    const here = await begin(node, deps, "four");
    expect(node.rig.bytesBy.get("upstream") ?? 0).toBe(bytesBefore);
    expect(here.record.base?.layers).toHaveLength(1);
    expect(listOf(await here.show())).toEqual([
      "deep",
      "deep/er",
      "deep/er/big",
      "gone",
      "run",
      "three",
      "two",
    ]);
  });

  it.each([{ layout: "overlay" }, { layout: "overlay", group: "2000" }, { layout: "copy" }])(
    "has its base again that a power loss took, and pushes only the change (%j)",
    async (how) => {
      const first = newNode();
      await round(first, await first.start(), "first", fillFirst);
      const node = newNode();
      const before = await node.start();
      const parameters = cached({ layout: how.layout });
      const claim = await RealClaim.begin(node, before, { name: "second", parameters, ...how });
      writeFileSync(path.join(claim.upper, "own"), "own");
      await claim.unstage();
      const base = claim.record.base?.layers ?? [];
      expect(base).toHaveLength(1);
      for (const layer of base) {
        const file = path.join(node.root, "layers", hexOf(layer), "layer.json");
        const stored = JSON.parse(readFileSync(file, "utf8")) as object;
        writeFileSync(file, JSON.stringify({ ...stored, boot: "another" }));
      }
      const after = await node.restart();
      expect(after.trees.contents(base)).toBeUndefined();
      await claim.delete(after);
      const { layers } = await manifestOf("main");
      expect(layers).toHaveLength(2);
      expect(layers[1]?.size).toBeLessThan(BIG / 10);
      const other = newNode();
      const third = await begin(other, await other.start(), "third");
      expect(listOf(await third.show())).toEqual(["deep", "deep/er", "deep/er/big", "gone", "own", "run"]);
    },
  );

  it("keeps what it holds where nobody has its base any more, and says what would help", async () => {
    const first = newNode();
    await round(first, await first.start(), "first", fillFirst);
    const node = newNode();
    const claim = await begin(node, await node.start(), "second");
    writeFileSync(path.join(claim.upper, "own"), "own");
    await claim.unstage();
    const [layer] = claim.record.base?.layers ?? [];
    rmSync(path.join(node.root, "layers", hexOf(layer ?? digestOf("")), "layer.json"));
    const after = await node.restart();
    for (const tag of await tags())
      await oras("manifest", "delete", "--force", "--plain-http", `${repository()}:${tag}`).catch(() => "");
    const refusal = await claim.delete(after).then(
      () => "",
      (error: Error) => error.message,
    );
    expect(refusal).toContain('layers of it are gone from this node; delete it with the policy "discard"');
    const [commit = ""] =
      after.trees.contents([after.claims.require(claim.volumeId).commit?.layer ?? digestOf("")]) ?? [];
    expect(readFileSync(path.join(commit, "own"), "utf8")).toBe("own");
  });

  it("packs all of it where the registry has lost the base", async () => {
    const node = newNode();
    const deps = await node.start();
    await round(node, deps, "one", fillFirst);
    const claim = await begin(node, deps, "two");
    writeFileSync(path.join(claim.upper, "small"), "small");
    await claim.unstage();
    const [lost] = (await manifestOf("main")).layers;
    await oras("blob", "delete", "--force", "--plain-http", `${repository()}@${lost?.digest}`);
    await claim.delete();
    expect((await manifestOf("main")).layers).toHaveLength(1);
    const other = newNode();
    const there = await begin(other, await other.start(), "three");
    expect(listOf(await there.show())).toContain("deep/er/big");
    expect(listOf(await there.show())).toContain("small");
  });

  it("packs all of it where its base is no image", async () => {
    mkdirSync(path.join(folder, "files"));
    writeFileSync(path.join(folder, "files/seed"), "seed");
    await orasCli(path.join(folder, "files"), ["push", "--plain-http", `${registry.host}/seeds:v1`, "seed"]);
    const node = newNode();
    const deps = await node.start();
    const from = { from: `${registry.host}/seeds:v1` };
    await round(node, deps, "one", (upper) => writeFileSync(path.join(upper, "own"), "own"), from);
    const here = await begin(node, deps, "two");
    expect(listOf(await here.show())).toEqual(["own", "seed"]);
    expect((await manifestOf("main")).layers).toHaveLength(1);
  });

  it("packs all of it where its seed's registry is gone, rather than to lose it at its push-deadline", async () => {
    const elsewhere = open.use(await openRealRegistry());
    mkdirSync(path.join(folder, "files"));
    writeFileSync(path.join(folder, "files/seed"), "seed");
    const from = `${elsewhere.host}/seeds:v1`;
    await orasCli(path.join(folder, "files"), ["push", "--plain-http", from, "seed"]);
    const node = newNode();
    const deps = await node.start();
    const claim = await begin(node, deps, "one", { from, "push-deadline": "1h" });
    writeFileSync(path.join(claim.upper, "own"), "own");
    await claim.unstage();
    await elsewhere.stop();
    await expect(claim.delete()).rejects.toEqual(being("unavailable"));
    node.rig.now += 40 * 60_000;
    await claim.delete();
    expect((await manifestOf("main")).layers).toHaveLength(1);
    const other = newNode();
    const there = await begin(other, await other.start(), "two");
    expect(listOf(await there.show())).toEqual(["own", "seed"]);
  });

  it("starts the next claim from what was committed here and is not pushed yet, and packs over it", async () => {
    const node = newNode();
    const deps = await node.start();
    await round(node, deps, "one", fillFirst);
    const first = await begin(node, deps, "two");
    writeFileSync(path.join(first.upper, "two"), "two");
    await first.unstage();
    await deleteUntil("begun", node, first);
    const second = await begin(node, deps, "three");
    expect(second.record.base).toMatchObject({ origin: "local", isTainted: false });
    expect(listOf(await second.show())).toContain("two");
    writeFileSync(path.join(second.upper, "three"), "three");
    await second.unstage();
    await first.delete();
    await second.delete();
    expect((await manifestOf("main")).layers).toHaveLength(3);
    const here = await begin(node, deps, "four");
    expect(listOf(await here.show())).toEqual(expect.arrayContaining(["two", "three"]));
  });

  it("writes back first what a claim was built on, and packs only its own change over that", async () => {
    const node = newNode();
    const deps = await node.start();
    const first = await begin(node, deps, "one");
    fillFirst(first.upper);
    await first.unstage();
    await deleteUntil("begun", node, first);
    const second = await begin(node, deps, "two");
    expect(second.record.base?.origin).toBe("local");
    writeFileSync(path.join(second.upper, "two"), "two");
    await second.unstage();
    await Promise.all([second.delete(), first.delete()]);
    expect(deps.claims.all.size).toBe(0);
    const head = await manifestOf("main");
    expect(head.layers).toHaveLength(2);
    expect(head.layers[1]?.size).toBeLessThan(2_000);
    expect(await tags()).toHaveLength(3);
  });

  it.each([{}, { format: "portable" }, { layout: "copy" }])(
    "pushes nothing of a claim that changed nothing of a head that is here alone, and leaves that to its own call (%j)",
    async (more) => {
      const node = newNode();
      const deps = await node.start();
      const first = await begin(node, deps, "one");
      fillFirst(first.upper);
      await first.unstage();
      await deleteUntil("begun", node, first);
      const second = await begin(node, deps, "two", more);
      expect(second.record.base?.origin).toBe("local");
      // As an overlay copies up what is opened to be written.
      if (!("layout" in more))
        execFileSync("cp", ["-a", path.join(await second.show(), "run"), second.upper]);
      await second.unstage();
      const packing = vi.spyOn(deps.packer, "packMerged");
      await second.delete();
      expect(packing).not.toHaveBeenCalled();
      expect([...deps.claims.all.keys()]).toEqual([first.volumeId]);
      expect(sentBy(node)).toEqual([]);
      await first.delete();
      expect(await tags()).toHaveLength(2);
      const here = await begin(node, deps, "three");
      expect(listOf(await here.show())).toEqual(["deep", "deep/er", "deep/er/big", "gone", "run"]);
    },
  );

  it("ends what a crash left half trimmed before another claim starts from it", async () => {
    const node = newNode();
    const deps = await node.start();
    await round(node, deps, "one", fillFirst);
    const claim = await begin(node, deps, "two");
    fillFirst(claim.upper);
    writeFileSync(path.join(claim.upper, "small"), "small");
    await claim.unstage();
    node.stopAt = "begun";
    await expect(claim.delete()).rejects.toThrow(Stopped);
    const [content = ""] = deps.trees.contents(claim.record.commit ? [claim.record.commit.layer] : []) ?? [];
    expect(listOf(content)).toEqual(["small"]);
    // As if the crash had come before the last of its steps.
    fillFirst(content);
    const journal = packedOf(node.root, claim.record);
    await sealTrims(journal);
    node.stopAt = undefined;
    const again = await node.restart();
    const next = await begin(node, again, "three");
    expect(next.record.base?.origin).toBe("local");
    expect(areTrimsSealed(journal)).toBe(false);
    const all = ["deep", "deep/er", "deep/er/big", "gone", "run", "small"];
    expect(listOf(await next.show())).toEqual(all);
    // What equals the base stays: nobody sees it, and the claim did not wait for it.
    expect(listOf(content)).toEqual(all);
  });

  it("ends what a crash left half trimmed with the next call, and pushes the same version", async () => {
    const node = newNode();
    const deps = await node.start();
    await round(node, deps, "one", fillFirst);
    const claim = await begin(node, deps, "two");
    fillFirst(claim.upper);
    writeFileSync(path.join(claim.upper, "small"), "small");
    await claim.unstage();
    node.stopAt = "checked";
    await expect(claim.delete()).rejects.toThrow(Stopped);
    const { record } = claim;
    const [content = ""] = deps.trees.contents(record.commit ? [record.commit.layer] : []) ?? [];
    fillFirst(content);
    await sealTrims(packedOf(node.root, record));
    node.stopAt = undefined;
    const again = await node.restart();
    await claim.delete(again);
    expect(listOf(content)).toEqual(["small"]);
    expect(await digestOfTag("main")).toBe(record.push?.manifest);
    expect(again.claims.all.size).toBe(0);
  });

  it("trims beside the push, tags nothing before that is over, and keeps no claim that starts waiting for it", async () => {
    const gate = Promise.withResolvers<void>();
    const node = newNode({ beforeTrim: gate.promise });
    const deps = await node.start();
    await round(node, deps, "one", fillFirst);
    const pushed = node.steps.length;
    const claim = await begin(node, deps, "two");
    fillFirst(claim.upper);
    writeFileSync(path.join(claim.upper, "small"), "small");
    await claim.unstage();
    const deleting = claim.delete();
    await vi.waitFor(() => expect(node.steps.slice(pushed)).toContain("checked"), {
      timeout: 60_000,
      interval: 5,
    });
    expect(await tags()).toHaveLength(2);
    const next = await begin(node, deps, "three");
    expect(next.record.base?.origin).toBe("local");
    await deleting;
    expect(await tags()).toHaveLength(3);
    expect(listOf(await next.show())).toEqual(["deep", "deep/er", "deep/er/big", "gone", "run", "small"]);
    gate.resolve();
  });

  it("starts no claim from what a trimming left half done that failed while the claim waited for it", async () => {
    const node = newNode();
    const deps = await node.start();
    await round(node, deps, "one", fillFirst);
    const claim = await begin(node, deps, "two");
    writeFileSync(path.join(claim.upper, "small"), "small");
    await claim.unstage();
    await deleteUntil("begun", node, claim);
    const { record } = claim;
    const journal = packedOf(node.root, record);
    const broken = new Failure("unavailable", "Cannot trim: EIO, the disk");
    const trimming = deps.use.trim(
      record.commit?.layer ?? digestOf(""),
      () => false,
      async (haste) => {
        await new Promise<void>((resolve) => haste.addEventListener("abort", () => resolve()));
        await sealTrims(journal);
        throw broken;
      },
    );
    const failed = expect(trimming).rejects.toBe(broken);
    // It hastens that, is told of no end, and brings it about itself when it looks again.
    const next = await begin(node, deps, "three");
    await failed;
    expect(next.record.base).toMatchObject({ origin: "local", isTainted: false });
    expect(areTrimsSealed(journal)).toBe(false);
    expect(listOf(await next.show())).toContain("small");
  });

  it("tags nothing that a trimming left half done, and goes on with it in the next call", async () => {
    const broken = new Failure("unavailable", "Cannot trim: EIO, the disk");
    let isBroken = false;
    const trimBy: RealNodeOptions["trimBy"] = (real) => ({
      ...real,
      trim: async (job, when) => {
        if (isBroken) throw broken;
        return await real.trim(job, when);
      },
    });
    const node = newNode({ trimBy });
    const deps = await node.start();
    await round(node, deps, "one", fillFirst);
    const claim = await begin(node, deps, "two");
    fillFirst(claim.upper);
    writeFileSync(path.join(claim.upper, "small"), "small");
    await claim.unstage();
    isBroken = true;
    for (let calls = 0; calls < 2; calls++) {
      await expect(claim.delete()).rejects.toBe(broken);
      expect(areTrimsSealed(packedOf(node.root, claim.record))).toBe(true);
      expect(await tags()).toHaveLength(2);
    }
    isBroken = false;
    const [content = ""] = deps.trees.contents(claim.record.commit ? [claim.record.commit.layer] : []) ?? [];
    await claim.delete();
    expect(listOf(content)).toEqual(["small"]);
    expect(await tags()).toHaveLength(3);
  });

  it("tells how far packing is, in entries and bytes", async () => {
    const node = newNode();
    const deps = await node.start();
    const claim = await begin(node, deps, "one");
    fillFirst(claim.upper);
    await claim.unstage();
    const words: string[] = [];
    const { flights } = deps;
    const packer = {
      ...deps.packer,
      packDelta: async (...[job, watch]: Parameters<typeof deps.packer.packDelta>) => {
        const onProgress: typeof watch.onProgress = (progress) => {
          watch.onProgress?.(progress);
          words.push(flights.get(claim.volumeId)?.words ?? "");
        };
        return await deps.packer.packDelta(job, { ...watch, onProgress });
      },
    };
    await claim.delete({ ...deps, ...openWriteBack({ ...deps, packer, push: deps.pushing }) });
    expect(words[0]).toMatch(
      /^Packing what changed in the volume "[^"]+": 0 of 5 entries \(0 %\), 0 B to be sent$/,
    );
  });

  it("asks one question for the head, which is the proof and the manifest too", async () => {
    const node = newNode();
    const deps = await node.start();
    await round(node, deps, "one", fillFirst);
    const { reader } = node.rig;
    const names = ["fetchTag", "resolve", "fetchManifest", "prove", "fetchBlob"] as const;
    const asked = names.map((name) => vi.spyOn(reader, name));
    const here = await begin(node, deps, "two");
    expect(here.record.base).toMatchObject({ origin: "head" });
    expect(asked.map(({ mock }) => mock.calls.length)).toEqual([1, 0, 0, 0, 0]);
  });

  it("starts from what it last knew of the key while the registry is away, and moves it since that was its head", async () => {
    const node = newNode();
    const deps = await node.start();
    await round(node, deps, "one", fillFirst);
    await (await begin(node, deps, "two")).unstage();
    const head = await manifestOf("main");
    await registry.stop();
    const late = { "base-deadline": "0s" };
    const claim = await begin(node, deps, "three", late);
    expect(claim.record.base).toMatchObject({ origin: "known", isTainted: true });
    expect(listOf(await claim.show())).toContain("deep/er/big");
    writeFileSync(path.join(claim.upper, "three"), "three");
    await claim.unstage();
    await expect(claim.delete()).rejects.toEqual(being("unavailable"));
    const { host, storage } = registry;
    open.use(await openRealRegistry({ host, storage }));
    await claim.delete();
    // What it started from turned out to be the head.
    expect((await manifestOf("main")).layers).toHaveLength(head.layers.length + 1);
  });

  it("never moves the key to what began without its head, and gives it to nobody", async () => {
    const node = newNode();
    const deps = await node.start();
    await registry.stop();
    const claim = await begin(node, deps, "one", { "base-deadline": "0s" });
    expect(claim.record.base).toMatchObject({ origin: "empty", isTainted: true });
    writeFileSync(path.join(claim.upper, "less"), "less");
    await claim.unstage();
    const { host, storage } = registry;
    open.use(await openRealRegistry({ host, storage }));
    const other = newNode();
    await round(other, await other.start(), "two", fillFirst);
    const head = await manifestOf("main");
    await claim.delete();
    expect(await manifestOf("main")).toEqual(head);
    expect(await tags()).toHaveLength(3);
    const next = await begin(node, deps, "three", { key: "other", "restore-keys": "main" });
    expect(listOf(await next.show())).not.toContain("less");
  });

  it("leaves the key to another node's newer version where its own comes two hours late, and names that", async () => {
    const late = newNode();
    // Nor does it delete, as one too many, what it has just pushed.
    const claim = await begin(late, await late.start(), "late", { versions: "1" });
    writeFileSync(path.join(claim.upper, "late"), "late");
    await claim.unstage();
    await deleteUntil("begun", late, claim);
    const other = newNode();
    other.rig.now = late.rig.now + 60_000;
    await round(other, await other.start(), "other", fillFirst);
    const head = await manifestOf("main");
    late.rig.now += 2 * 60 * 60_000;
    await claim.delete(await late.restart());
    expect(await manifestOf("main")).toEqual(head);
    expect(await tags()).toHaveLength(3);
    const [newer] = late.log.lines.flatMap((line) => (line["newer"] === undefined ? [] : [line["newer"]]));
    expect(newer).toBe(await digestOfTag("main"));
    expect(late.metrics.counted).toContainEqual({ what: "contest", end: "lost" });
    expect(other.metrics.counted).not.toContainEqual(expect.objectContaining({ what: "contest" }));
    const next = await begin(other, await other.restart(), "next");
    expect(listOf(await next.show())).toContain("deep/er/big");
  });

  it("tells that a secret is missing, and writes back with the next call that brings one", async () => {
    const locked = open.use(await openRealRegistry({ password: true }));
    const node = newNode();
    const deps = await node.start();
    const { username, password } = registryUser;
    const secrets = new Map(Object.entries({ username, password }));
    const parameters = cached({}, locked.host);
    const claim = await RealClaim.begin(node, deps, { name: "one", parameters, secrets });
    fillFirst(claim.upper);
    await claim.unstage();
    await expect(claim.delete()).rejects.toThrow("no secret was given; name one in the class");
    await expect(claim.delete()).rejects.toEqual(being("denied"));
    await claim.delete(deps, secrets);
    expect(deps.claims.all.size).toBe(0);
  });

  it("keeps so many versions of a key as its class says, and lists its tags once for each", async () => {
    const node = newNode();
    const deps = await node.start();
    const lists = vi.spyOn(deps.pushing.oras, "listTags");
    for (const name of ["one", "two", "three"])
      await round(node, deps, name, (upper) => writeFileSync(path.join(upper, name), name), {
        versions: "2",
      });
    const left = await tags();
    expect(left.filter((tag) => tag !== "main")).toHaveLength(2);
    expect(left).toContain("main");
    expect(lists.mock.calls).toHaveLength(3);
  });

  it("keeps the versions of both who wrote one key, however few its class says", async () => {
    const begun = ["first", "second", "third"].map(async (name, at) => {
      const node = newNode();
      node.rig.now += at * 60_000;
      const claim = await begin(node, await node.start(), name, { versions: "1" });
      writeFileSync(path.join(claim.upper, name), name);
      await claim.unstage();
      return { node, claim };
    });
    // All of them begin before there is a head.
    const [first, second, third] = await Promise.all(begun);
    if (first === undefined || second === undefined || third === undefined) throw new Error("too few");
    await deleteUntil("begun", first.node, first.claim);
    await second.claim.delete();
    const [head = ""] = (await tags()).filter((tag) => tag !== "main");
    await first.claim.delete(await first.node.restart());
    expect(await tags()).toEqual(expect.arrayContaining(["main", head]));
    expect(await tags()).toHaveLength(3);
    await third.claim.delete();
    // The late one is history now; the one that lost the key to this is not yet.
    expect(await tags()).toEqual(expect.arrayContaining(["main", head]));
    expect(await tags()).toHaveLength(3);
  });

  it("finds by a restore key the newest version that may be restored", async () => {
    const node = newNode();
    const deps = await node.start();
    await round(node, deps, "one", fillFirst, { key: "deps-1" });
    const claim = await begin(node, deps, "two", { key: "deps-2", "restore-keys": "deps-" });
    expect(claim.record.base).toMatchObject({ origin: "restore", isTainted: false });
    expect(listOf(await claim.show())).toContain("deep/er/big");
  });
});
