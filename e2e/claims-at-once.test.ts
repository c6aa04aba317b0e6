// Many claims, and many calls for one, at the same time on one node.
import { readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { openRegistryDouble, type RegistryDouble } from "../testing/registry-double.ts";
import { ClaimCalls, insisting, openClaimPlugin } from "./claim-calls.ts";
import { metric } from "./metrics.ts";
import { digestsIn, digestsOf, mountsUnder } from "./node-state.ts";
import type { Plugin } from "./plugin.ts";
import { kept, nothingLeft, type Refusal, refusalOf } from "./remains.ts";

let open: AsyncDisposableStack;
let registry: RegistryDouble;
let plugin: Plugin;
beforeEach(async () => {
  open = new AsyncDisposableStack();
  registry = open.use(await openRegistryDouble());
  plugin = open.use(await openClaimPlugin());
});
afterEach(async () => await open.disposeAsync());

function claimOf(name: string): ClaimCalls {
  const parameters = {
    repository: `${registry.host}/caches/\${cache}`,
    cache: "m2",
    key: "main",
    when: "always",
    versions: "1000",
  };
  return new ClaimCalls({ plugin }, { name, parameters, bytes: 2 ** 20 });
}

async function expectNothing(): Promise<void> {
  for (const folder of ["claims", "volumes"]) expect(await kept(plugin, folder)).toEqual([]);
  await nothingLeft(plugin);
  expect(await mountsUnder(path.join(plugin.folder, "plugins"))).toEqual([]);
}

/** The version tags of the key, the newest last. */
function versions(): readonly string[] {
  const order = (tag: string) => tag.replace(/^main\.(\d+)\./, (_, time: string) => time.padStart(20, "0"));
  const tags = registry.pushes.tags().filter((tag) => tag.startsWith("main."));
  return tags.toSorted((one, other) => (order(one) < order(other) ? -1 : 1));
}

/** How the same call ends for each who makes it at once: granted, or told that another is being answered. */
async function tenTimes(call: () => Promise<unknown>): Promise<readonly Refusal[]> {
  const ends = await Promise.allSettled(Array.from({ length: 10 }, call));
  expect(ends.some(({ status }) => status === "fulfilled")).toBe(true);
  const refused = ends.flatMap((end) => (end.status === "rejected" ? [Promise.reject(end.reason)] : []));
  return await Promise.all(refused.map(refusalOf));
}

describe("claims at once", { timeout: 600_000 }, () => {
  it("fifty of one cache are made, used and deleted, each a version, and the newest has the key", async () => {
    const first = claimOf("first");
    await first.runPod((at) => writeFile(path.join(at, "base"), "of all"));
    await first.deleteAtLast();
    const names = Array.from({ length: 50 }, (_, at) => `many-${at}`);
    const claims = names.map(claimOf);
    const all = (work: (claim: ClaimCalls, name: string) => Promise<unknown>) =>
      Promise.all(claims.map((claim, at) => work(claim, names[at] ?? "")));
    await all((claim) => claim.create());
    await all((claim) => claim.stage());
    await all(async (claim, name) => {
      const at = await claim.publish({ pod: "user" });
      expect(await readFile(path.join(at, "base"), "utf8")).toBe("of all");
      await writeFile(path.join(at, name), name);
    });
    await all((claim) => claim.unpublish("user"));
    await all((claim) => claim.unstage());
    await all((claim) => claim.deleteAtLast());
    const tags = versions();
    expect(tags).toHaveLength(51);
    expect(registry.pushes.digestOf("main")).toBe(registry.pushes.digestOf(tags.at(-1) ?? ""));
    await expectNothing();
    expect(await metric(plugin, "larder_pending_write_backs")).toBe(0);
    await claimOf("next").runPod(async (at) => {
      const { base, ...own } = await digestsIn(at);
      expect({ base }).toEqual(digestsOf({ base: "of all" }));
      expect(Object.keys(own)).toHaveLength(1);
    });
  });

  it("the same call ten times is done once, and whoever is refused is told to come again", async () => {
    const claim = claimOf("one");
    const steps: Array<() => Promise<unknown>> = [
      () => claim.create(),
      () => claim.stage(),
      () => claim.publish({ pod: "user" }),
      () => claim.expand(2 ** 21),
      () => claim.unpublish("user"),
      () => claim.unstage(),
      () => claim.delete(),
    ];
    for (const step of steps) {
      const refusals = await tenTimes(step);
      for (const { code } of refusals) expect(code).toBe("ABORTED");
      await insisting(step);
    }
    await expectNothing();
    expect(await metric(plugin, 'larder_claims_total{event="created"}')).toBe(1);
  });

  it("a delete that races a create of the same name leaves one claim, or none, and never half of one", async () => {
    for (let round = 0; round < 10; round++) {
      const claim = claimOf("raced");
      await claim.create();
      const [made] = await Promise.allSettled([claim.create(), claim.delete()]);
      if (made.status === "rejected") expect(made.reason).toMatchObject({ code: "ABORTED" });
      await insisting(() => claim.create());
      await claim.runPod((at) => writeFile(path.join(at, "x"), String(round)));
      await claim.deleteAtLast();
      await expectNothing();
    }
  });

  it("an expand that races a write-back is refused or done, and the write-back is whole", async () => {
    const claim = claimOf("grown");
    await claim.runPod((at) => writeFile(path.join(at, "x"), "x"));
    const held = registry.hold(({ method }) => method === "PUT");
    open.defer(() => held.release());
    const deletion = claim.deleteAtLast();
    const [grown] = await Promise.allSettled([claim.expand(2 ** 21)]);
    if (grown.status === "rejected") expect(grown.reason).toMatchObject({ code: "ABORTED" });
    held.release();
    await deletion;
    expect((await refusalOf(claim.expand(2 ** 21))).code).toBe("NOT_FOUND");
    expect(versions()).toHaveLength(1);
    await expectNothing();
  });
});
