import { afterEach, describe, expect, it } from "vitest";
import { openRealRegistry } from "../../testing/real-registry.ts";
import { openRegistryDouble } from "../../testing/registry-double.ts";
import type { Access } from "../core/access.ts";
import { planPruning } from "../core/key-contest.ts";
import { pruneVersions } from "./prune-versions.ts";
import { pushVersion } from "./push-version.ts";
import { openPushKit, type PushKit, tagOf } from "./testing/push-kit.ts";

const { signal } = new AbortController();

let open = new AsyncDisposableStack();
afterEach(async () => {
  await open.disposeAsync();
  open = new AsyncDisposableStack();
});

const keepNewest = (versions: number) => (tags: readonly string[]) =>
  planPruning(tags, "k", { versions, spared: [] });

async function pushThree(kit: PushKit, access: Access) {
  const versions = await Promise.all(
    [1, 2, 3].map(async (time) => await kit.version(access, { time, texts: [`text ${time}`] })),
  );
  for (const version of versions) await pushVersion(kit.deps, version, { signal });
  return versions;
}

describe("pruneVersions()", () => {
  it("deletes what is doomed at a real registry, keeps the rest whole, and may be called again", async () => {
    const kit = open.use(await openPushKit());
    const registry = open.use(await openRealRegistry());
    const access: Access = { host: registry.host, repository: "a/b" };
    const versions = await pushThree(kit, access);
    const pruning = { access, plan: keepNewest(1) };
    expect(await pruneVersions(kit.deps, pruning, signal)).toEqual({ deleted: [tagOf(2), tagOf(1)] });
    expect(await kit.deps.oras.listTags(access)).toEqual(["k", tagOf(3)]);
    expect(await kit.deps.oras.resolve(access, "k")).toBe(versions[2]?.digest);
    expect(await pruneVersions(kit.deps, pruning, signal)).toEqual({ deleted: [] });
  });

  it("asks for no tags where it is told them", async () => {
    const kit = open.use(await openPushKit());
    const registry = open.use(await openRegistryDouble());
    const access: Access = { host: registry.host, repository: "a/b" };
    await pushThree(kit, access);
    const before = registry.asked.length;
    const tags = ["k", tagOf(1), tagOf(2), tagOf(3)];
    expect(await pruneVersions(kit.deps, { access, tags, plan: keepNewest(2) }, signal)).toEqual({
      deleted: [tagOf(1)],
    });
    expect(registry.asked.slice(before).filter(({ path }) => path.includes("/tags/list"))).toEqual([]);
  });

  it("leaves a manifest that a tag which stays names too", async () => {
    const kit = open.use(await openPushKit());
    const registry = open.use(await openRegistryDouble());
    const access: Access = { host: registry.host, repository: "a/b" };
    const [first] = await pushThree(kit, access);
    if (first === undefined) throw new Error("nothing was pushed");
    registry.manifest(first.manifest.bytes, { tags: ["k"] });
    expect(await pruneVersions(kit.deps, { access, plan: keepNewest(1) }, signal)).toEqual({
      deleted: [tagOf(2)],
    });
    expect(registry.pushes.tags()).toEqual(["k", tagOf(1), tagOf(3)]);
  });

  it("leaves a version that somebody gave a tag of their own", async () => {
    const kit = open.use(await openPushKit());
    const registry = open.use(await openRegistryDouble());
    const access: Access = { host: registry.host, repository: "a/b" };
    const [first] = await pushThree(kit, access);
    if (first === undefined) throw new Error("nothing was pushed");
    registry.manifest(first.manifest.bytes, { tags: ["release-1"] });
    expect(await pruneVersions(kit.deps, { access, plan: keepNewest(1) }, signal)).toEqual({
      deleted: [tagOf(2)],
    });
    expect(registry.pushes.tags()).toContain("release-1");
  });

  it("says why nothing is deleted where the registry allows it not, and is no failure", async () => {
    const kit = open.use(await openPushKit());
    const registry = open.use(await openRegistryDouble());
    const access: Access = { host: registry.host, repository: "a/b" };
    await pushThree(kit, access);
    registry.pushes.deletes = false;
    const { deleted, refusal } = await pruneVersions(kit.deps, { access, plan: keepNewest(1) }, signal);
    expect(deleted).toEqual([]);
    expect(refusal).toMatchObject({ reason: "unsupported" });
    expect(registry.pushes.tags()).toHaveLength(4);
  });

  it("ends with the signal's reason when it is given up", async () => {
    const kit = open.use(await openPushKit());
    const registry = open.use(await openRegistryDouble());
    const access: Access = { host: registry.host, repository: "a/b" };
    const given = AbortSignal.abort(new Error("given up"));
    await expect(pruneVersions(kit.deps, { access, plan: keepNewest(1) }, given)).rejects.toThrow("given up");
  });
});
