import { readFileSync, statSync, writeFileSync } from "node:fs";
import { link, mkdtemp, rm } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { execa } from "execa";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { digestOf } from "../core/digest.ts";
import { isPrivileged } from "../host/testing/privileged.ts";
import { placeFile, stamp } from "./place-file.ts";
import { contentOf, Kit, never, requestFor } from "./testing/kit.ts";
import { addFiles, addRepository } from "./testing/registry-twin.ts";
import type { LeasedTree } from "./tree-request.ts";

const facts = (at: string) => {
  const { ino, mode, mtimeMs } = statSync(at);
  return { ino, mode: mode & 0o7777, mtime: mtimeMs / 1000, text: readFileSync(at, "utf8") };
};

describe("placeFile()", () => {
  const own = { mode: 0o644, mtime: 7 };
  let folder: string;
  let from: { readonly at: string; readonly stamp: typeof own };
  beforeEach(async () => {
    folder = await mkdtemp(path.join(os.tmpdir(), "larder-place-"));
    from = { at: path.join(folder, "from"), stamp: own };
    writeFileSync(from.at, "content");
    await stamp(from.at, own);
  });
  afterEach(() => rm(folder, { recursive: true }));
  const to = (wanted = own) => ({ at: path.join(folder, "to"), stamp: wanted });

  it("links where the stamps agree", async () => {
    await placeFile(from, to());
    expect(facts(to().at)).toEqual(facts(from.at));
  });

  it.each([
    { ...own, mode: 0o755 },
    { ...own, mtime: 8 },
    { mode: 0o600, mtime: 0 },
  ])("makes another of the same bytes under %j, and leaves the first as it is", async (wanted) => {
    const before = facts(from.at);
    await placeFile(from, to(wanted));
    expect(facts(to().at)).toMatchObject({ ...wanted, text: "content" });
    expect(facts(to().at).ino).not.toBe(before.ino);
    expect(facts(from.at)).toEqual(before);
  });

  it.each(["EMLINK", "EPERM", "ENOTSUP"])(
    "makes another under the same stamp where no more links can be had: %s",
    async (code) => {
      const refuse = () => Promise.reject(Object.assign(new Error("no link"), { code }));
      await placeFile(from, to(), refuse);
      expect(facts(to().at)).toMatchObject({ ...own, text: "content" });
      expect(facts(to().at).ino).not.toBe(facts(from.at).ino);
    },
  );

  it.runIf(isPrivileged())("makes another of what the kernel lets nobody link", async () => {
    await execa("chattr", ["+i", from.at]);
    try {
      await expect(link(from.at, to().at)).rejects.toMatchObject({ code: "EPERM" });
      await placeFile(from, to());
      expect(facts(to().at)).toMatchObject({ ...own, text: "content" });
    } finally {
      await execa("chattr", ["-i", from.at]);
    }
  });

  it("passes on any other trouble, and makes nothing then", async () => {
    const refuse = () => Promise.reject(Object.assign(new Error("full"), { code: "ENOSPC" }));
    await expect(placeFile(from, to(), refuse)).rejects.toThrow("full");
    expect(statSync(to().at, { throwIfNoEntry: false })).toBeUndefined();
  });

  it.each([own, { ...own, mode: 0o755 }])(
    "never takes the place of a file that is there: %j",
    async (wanted) => {
      writeFileSync(to().at, "another's");
      await expect(placeFile(from, to(wanted))).rejects.toMatchObject({ code: "EEXIST" });
      expect(facts(to().at).text).toBe("another's");
    },
  );
});

describe("a file that artifacts share under several modes", () => {
  let kit: Kit;
  beforeEach(async () => {
    kit = await Kit.open();
  });
  afterEach(async () => {
    await kit[Symbol.asyncDispose]();
  });

  const factsIn = (tree: LeasedTree, name: string) => facts(path.join(tree.layers[0] ?? "", name));

  it.each(["one after the other", "at once"])(
    "is fetched once and has each one's mode: leased %s",
    async (how) => {
      const repository = addRepository(kit.registry.addHost("r.example"), "a");
      const text = "s".repeat(100_000);
      const wanted = [
        ["a", "0644"],
        ["b", "0755"],
        ["c", "0644"],
        ["d", "0600"],
        ["e", "0755"],
      ] as const;
      const requests = wanted.map(([name, mode]) =>
        requestFor(`r.example/a@${addFiles(repository, { [name]: text }, { [name]: mode })}`),
      );
      const trees = await kit.start();
      const leases: LeasedTree[] = [];
      using held = new DisposableStack();
      held.defer(() => leases.forEach((lease) => lease[Symbol.dispose]()));
      if (how === "at once")
        leases.push(...(await Promise.all(requests.map((request) => trees.lease(request, never)))));
      else for (const request of requests) leases.push(await trees.lease(request, never));
      const found = leases.map((lease, at) => factsIn(lease, wanted[at]?.[0] ?? ""));
      expect(found.map(({ mode }) => mode)).toEqual([0o644, 0o755, 0o644, 0o600, 0o755]);
      expect(new Set(found.map(({ text: read }) => read))).toEqual(new Set([text]));
      expect(kit.registry.sentBytes.get(digestOf(text))).toBe(text.length);
      // Of those that come at once, one may be in no place that can be told when the next is placed.
      if (how === "at once") return;
      const [a, b, c, d, e] = found.map(({ ino }) => ino);
      expect([c, e]).toEqual([a, b]);
      expect(new Set([a, b, d]).size).toBe(3);
      // Each is counted once.
      const blocks = Math.ceil(text.length / 4096) * 4096;
      expect(trees.figures().usedBytes).toBe(3 * blocks + 5 * 4096);
    },
  );

  it("is one file for each mode within one artifact, too", async () => {
    const repository = addRepository(kit.registry.addHost("r.example"), "a");
    const modes = { a: "0644", b: "0755", c: "0755", d: "0644" };
    const files = Object.fromEntries(Object.keys(modes).map((name) => [name, "shared"]));
    const trees = await kit.start();
    using tree = await trees.lease(requestFor(`r.example/a@${addFiles(repository, files, modes)}`), never);
    const [a, b, c, d] = ["a", "b", "c", "d"].map((name) => factsIn(tree, name));
    expect([a?.mode, b?.mode]).toEqual([0o644, 0o755]);
    expect([c, d]).toEqual([b, a]);
    expect(trees.figures().usedBytes).toBe(2 * 4096 + 4096);
  });

  it("stays as it is in one artifact when another's goes", async () => {
    const repository = addRepository(kit.registry.addHost("r.example"), "a");
    const [kept, gone] = ["0644", "0755"].map((mode) =>
      requestFor(`r.example/a@${addFiles(repository, { f: "shared" }, { f: mode })}`),
    );
    if (kept === undefined || gone === undefined) throw new Error("no requests");
    const trees = await kit.start();
    (await trees.lease(gone, never))[Symbol.dispose]();
    using tree = await trees.lease(kept, never);
    const before = factsIn(tree, "f");
    await trees.collect(Number.MAX_SAFE_INTEGER);
    expect(trees.figures().trees).toBe(1);
    expect(factsIn(tree, "f")).toEqual(before);
    expect(await contentOf(tree)).toEqual({ f: "shared" });
  });
});
