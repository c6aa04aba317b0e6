// What a power loss may make of each file that was never synced, and what a disk may make of any: whatever it is, the
// plugin starts, serves, and has lost nothing that was durable.
import { readdir, readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { tool } from "../testing/tool.ts";
import { insisting, openClaimPlugin } from "./claim-calls.ts";
import { digestsIn, digestsOf, namesIn, until } from "./node-state.ts";
import { type ClaimName, claimNames, contents, Wreck } from "./wreck.ts";

const timeout = 900_000;

let wreck: Wreck;
beforeAll(async () => {
  await tool("oras");
  wreck = await Wreck.open();
}, timeout);
afterAll(async () => await wreck[Symbol.asyncDispose]());

const damages = {
  empty: () => Buffer.alloc(0),
  "cut in half": (bytes: Buffer) => bytes.subarray(0, bytes.length / 2),
  "full of zeros": (bytes: Buffer) => Buffer.alloc(bytes.length),
  "full of other bytes": (bytes: Buffer) => Buffer.from(bytes.map((_, at) => (at * 7 + 13) % 256)),
  "another's": () => Buffer.from("{}\n"),
} as const satisfies Record<string, (bytes: Buffer) => Buffer>;

/** What is small and not synced, and besides what is and can be had again; by where it lies under the root. */
const kinds = {
  "Records of inline volumes": /^records\//,
  "Records of Layers that were pulled": /^layers\/[^/]+\/layer\.json$/,
  "Records of Trees": /^trees\//,
  "what tags mean": /^tags\//,
  "what keys last meant": /^heads\//,
  "maps of Partials": /^partials\/[^/]+\/map$/,
  "data of Partials": /^partials\/[^/]+\/data$/,
  attempts: /^attempts\//,
  "what was packed": /^volumes\/[^/]+\/packed\//,
  "what was being made": /^ingest\//,
  "compiled code": /^compile\//,
  "the lock": /^lock$/,
} as const;

async function filesOf(kind: RegExp): Promise<readonly string[]> {
  const entries = await readdir(wreck.root, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile());
  const names = files.map(({ parentPath, name }) => path.relative(wreck.root, path.join(parentPath, name)));
  const found: string[] = [];
  for (const name of names.filter((name) => kind.test(name) && !name.includes("/fs/")))
    if (!(await isOfClaim(name))) found.push(path.join(wreck.root, name));
  return found;
}

/** A Layer that a claim wrote, which nobody has besides: its Record is durable. */
async function isOfClaim(name: string): Promise<boolean> {
  if (!name.startsWith("layers/")) return false;
  return (await readFile(path.join(wreck.root, name), "utf8")).includes('"kind":"claim"');
}

async function damage(kind: RegExp, as: (bytes: Buffer) => Buffer): Promise<number> {
  const files = await filesOf(kind);
  for (const file of files) await writeFile(file, as(await readFile(file)));
  return files.length;
}

const withBase = { ...contents.kept, ...contents.written };

/** What a pod finds in the claim. */
const heldBy = (name: ClaimName) =>
  digestsOf(name === "based" || name === "again" ? withBase : contents.written);

/** Every pod gets what it had, and goes again. */
async function expectServed(claims: readonly ClaimName[]): Promise<void> {
  for (const name of ["kept", "idle", "big"] as const) {
    const volume = await wreck.volume(name);
    await insisting((options) => volume.publish(options));
    expect(await digestsIn(volume.target), name).toEqual(digestsOf(contents[name]));
    await volume.unpublish();
  }
  for (const name of claims)
    await wreck.claim(name).runPod(async (at) => expect(await digestsIn(at), name).toEqual(heldBy(name)));
}

async function expectNothingLeft(...folders: readonly string[]): Promise<void> {
  for (const folder of ["records", "ingest", "trash", "attempts", ...folders])
    await until(
      async () => (await namesIn(path.join(wreck.root, folder))).length === 0,
      `${folder} is empty`,
    );
}

/** Those that pods still have a use for. */
const living = claimNames.filter((name) => name !== "committed");

/** The worst that a disk does, and the worst that a power loss does. */
const worst = ["empty", "full of other bytes"] as const;

describe.each(worst)("a start with files %s", { timeout }, (how) => {
  it.each(Object.keys(kinds) as Array<keyof typeof kinds>)("serves all that there was: %s", async (what) => {
    await wreck.restore();
    expect(await damage(kinds[what], damages[how])).toBeGreaterThan(0);
    await wreck.start();
    await expectServed(living);
    await expectNothingLeft();
  });

  it("leaves a claim whose Record is no more as it is, and serves all others", async () => {
    const { id } = wreck.claim("unstaged");
    const upper = path.join(wreck.root, "volumes", id, "upper");
    await wreck.restore();
    expect(await damage(new RegExp(`^claims/${id}$`), damages[how])).toBe(1);
    await wreck.start();
    await expectServed(living.filter((name) => name !== "unstaged"));
    expect(await digestsIn(upper)).toEqual(heldBy("unstaged"));
  });
});

describe("a start with nothing whole but what is durable", { timeout }, () => {
  it.each(Object.keys(damages) as Array<keyof typeof damages>)(
    "serves all that there was: %s",
    async (how) => {
      await wreck.restore();
      for (const kind of Object.values(kinds)) await damage(kind, damages[how]);
      await wreck.start();
      await expectServed(living);
      await expectNothingLeft();
    },
  );

  it("writes back all that claims hold, for everybody", async () => {
    await wreck.restore();
    for (const kind of Object.values(kinds)) await damage(kind, damages.empty);
    await wreck.start();
    for (const name of claimNames) await wreck.claim(name).deleteAtLast();
    await expectNothingLeft("claims", "volumes");
    const { registry } = wreck;
    await using other = await openClaimPlugin({
      settings: { registries: [{ match: registry.host, plainHttp: true }] },
    });
    for (const name of claimNames) {
      const next = wreck.next(name, other);
      await next.runPod(async (at) => expect(await digestsIn(at), name).toEqual(heldBy(name)));
    }
  });
});
