// Claims at once: many of one cache, calls that race each other, and the same call many times.
import { readdir, writeFile } from "node:fs/promises";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { openRealRegistry, type RealRegistry } from "../testing/real-registry.ts";
import { ClaimCalls, insisting, openClaimPlugin } from "./claim-calls.ts";
import type { CsiError } from "./client.ts";
import type { Plugin } from "./plugin.ts";
import { kept, nothingLeft } from "./remains.ts";

let open: AsyncDisposableStack;
let registry: RealRegistry;
let plugin: Plugin;
beforeEach(async () => {
  open = new AsyncDisposableStack();
  registry = open.use(await openRealRegistry());
  plugin = open.use(await openClaimPlugin());
});
afterEach(async () => await open.disposeAsync());

function claimOf(name: string): ClaimCalls {
  const repository = `${registry.host}/caches/\${cache}`;
  const parameters = { repository, cache: "m2", key: "main", when: "always", versions: "100" };
  return new ClaimCalls({ plugin }, { name, parameters, bytes: 2 ** 20 });
}

/** Created, written to by a pod, taken down and deleted; every call repeated as its caller does. */
async function live(claim: ClaimCalls, name: string, seed: readonly string[]): Promise<void> {
  await insisting((options) => claim.create(options));
  await insisting((options) => claim.stage(options));
  let at = "";
  await insisting(async (options) => {
    at = await claim.publish({ pod: "user", options });
  });
  expect(await readdir(at)).toEqual(expect.arrayContaining([...seed]));
  await writeFile(path.join(at, name), name);
  await claim.unpublish("user");
  await insisting(() => claim.unstage());
  await claim.deleteAtLast();
}

async function versions(): Promise<readonly string[]> {
  const answer = await fetch(`http://${registry.host}/v2/caches/m2/tags/list?n=1000`);
  const { tags = [] } = (await answer.json()) as { readonly tags?: readonly string[] };
  return tags.filter((tag) => tag !== "main");
}

/** By TIME, then by ID. */
const orderOf = (tag: string) =>
  tag.replace(/^main\.(\d+)\./, (_, time: string) => `${time.padStart(20, "0")}.`);

async function digestOf(tag: string): Promise<string | null> {
  const headers = { accept: "application/vnd.oci.image.manifest.v1+json" };
  const answer = await fetch(`http://${registry.host}/v2/caches/m2/manifests/${tag}`, { headers });
  await answer.arrayBuffer();
  return answer.headers.get("docker-content-digest");
}

async function expectNothing(): Promise<void> {
  for (const folder of ["claims", "volumes"]) expect(await kept(plugin, folder)).toEqual([]);
  await nothingLeft(plugin);
}

describe("claims at once", { timeout: 900_000 }, () => {
  it("50 of one cache, created, used and deleted: each is a version, and nothing is left of any", async () => {
    await live(claimOf("seed"), "seed", []);
    const names = Array.from({ length: 50 }, (_, at) => `claim-${at}`);
    await Promise.all(names.map(async (name) => await live(claimOf(name), name, ["seed"])));
    const tags = await versions();
    expect(tags).toHaveLength(51);
    const newest = tags.toSorted((one, other) => (orderOf(one) < orderOf(other) ? -1 : 1)).at(-1);
    expect(await digestOf("main")).toBe(await digestOf(newest ?? ""));
    await expectNothing();
    const last = claimOf("last");
    await last.runPod(async (at) => expect((await readdir(at)).length).toBeGreaterThan(1));
    await last.deleteAtLast();
  });

  it("the same call ten times in parallel does it once", async () => {
    const claim = claimOf("same");
    const ten = async (call: (options: { readonly deadlineMs?: number }) => Promise<unknown>) =>
      await Promise.all(Array.from({ length: 10 }, async () => await insisting(call)));
    await ten((options) => claim.create(options));
    expect(await kept(plugin, "claims")).toHaveLength(1);
    await ten((options) => claim.stage(options));
    await ten((options) => claim.publish({ pod: "user", options }));
    await writeFile(path.join(await claim.target("user"), "once"), "once");
    await ten(() => claim.unpublish("user"));
    await ten(() => claim.unstage());
    await ten((options) => claim.delete(options));
    expect(await versions()).toHaveLength(1);
    await expectNothing();
  });

  it("a create that races the deletion of its name makes another claim, or is deleted with it, and loses nothing", async () => {
    for (let round = 0; round < 5; round++) {
      const claim = claimOf("same-name");
      await claim.runPod(async (at) => await writeFile(path.join(at, `round-${round}`), "x"));
      const again = claimOf("same-name");
      await Promise.all([claim.deleteAtLast(), insisting((options) => again.create(options))]);
      // Where it came first it was the claim that is deleted now.
      await insisting((options) => again.create(options));
      await again.stage();
      const at = await again.publish({ pod: "user" });
      expect(await readdir(at)).toEqual(Array.from({ length: round + 1 }, (_, one) => `round-${one}`));
      await again.unpublish("user");
      await again.unstage();
      await again.deleteAtLast();
    }
    expect(await versions()).toHaveLength(5);
    await expectNothing();
  });

  it("an expansion that races a write-back is done or refused, and the write-back goes on", async () => {
    for (let round = 0; round < 5; round++) {
      const claim = claimOf(`grown-${round}`);
      await claim.runPod(async (at) => await writeFile(path.join(at, `round-${round}`), "x"));
      const expansions = Array.from({ length: 5 }, async (_, at) => await claim.expand((at + 2) * 2 ** 20));
      const [, ...ends] = await Promise.allSettled([claim.deleteAtLast(), ...expansions]);
      for (const end of ends) {
        if (end.status === "fulfilled") continue;
        expect(["ABORTED", "NOT_FOUND"]).toContain((end.reason as CsiError).code);
      }
      await claim.deleteAtLast();
    }
    expect(await versions()).toHaveLength(5);
    await expectNothing();
  });
});
