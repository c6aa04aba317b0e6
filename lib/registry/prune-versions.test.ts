import { afterEach, describe, expect, it } from "vitest";
import { openRealRegistry } from "../../testing/real-registry.ts";
import { openRegistryDouble } from "../../testing/registry-double.ts";
import type { Access } from "../core/access.ts";
import { pruneVersions } from "./prune-versions.ts";
import { pushVersion } from "./push-version.ts";
import { openPushKit, type PushKit } from "./testing/push-kit.ts";

const { signal } = new AbortController();

let open = new AsyncDisposableStack();
afterEach(async () => {
  await open.disposeAsync();
  open = new AsyncDisposableStack();
});

/** The newest `keep` stay. */
const keepNewest = (keep: number) => (tags: readonly string[]) => {
  const versions = tags.filter((tag) => tag.startsWith("k.")).toSorted();
  const doomed = versions.slice(0, Math.max(0, versions.length - keep));
  return { doomed, kept: ["k", ...versions.slice(versions.length - keep)] };
};

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
    const access: Access = { host: registry.host, repository: "a/b", plainHttp: true };
    const versions = await pushThree(kit, access);
    const pruning = { access, plan: keepNewest(1) };
    expect(await pruneVersions(kit.deps, pruning, signal)).toEqual({ deleted: ["k.1.id", "k.2.id"] });
    expect(await kit.deps.oras.listTags(access)).toEqual(["k", "k.3.id"]);
    expect(await kit.deps.oras.resolve(access, "k")).toBe(versions[2]?.digest);
    expect(await pruneVersions(kit.deps, pruning, signal)).toEqual({ deleted: [] });
  });

  it("leaves a manifest that a tag which stays names too", async () => {
    const kit = open.use(await openPushKit());
    const registry = open.use(await openRegistryDouble());
    const access: Access = { host: registry.host, repository: "a/b", plainHttp: true };
    const [first] = await pushThree(kit, access);
    if (first === undefined) throw new Error("nothing was pushed");
    registry.manifest(first.manifest.bytes, { tags: ["k"] });
    expect(await pruneVersions(kit.deps, { access, plan: keepNewest(1) }, signal)).toEqual({
      deleted: ["k.2.id"],
    });
    expect(registry.pushes.tags()).toEqual(["k", "k.1.id", "k.3.id"]);
  });

  it("says why nothing is deleted where the registry allows it not, and is no failure", async () => {
    const kit = open.use(await openPushKit());
    const registry = open.use(await openRegistryDouble());
    const access: Access = { host: registry.host, repository: "a/b", plainHttp: true };
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
    const access: Access = { host: registry.host, repository: "a/b", plainHttp: true };
    const given = AbortSignal.abort(new Error("given up"));
    await expect(pruneVersions(kit.deps, { access, plan: keepNewest(1) }, given)).rejects.toThrow("given up");
  });
});
