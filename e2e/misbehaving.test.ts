// A registry that misbehaves while a claim is written back: what is told, what is asked again, and that nothing is lost.
import { mkdir, writeFile } from "node:fs/promises";
import path from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { openRegistryDouble, type RegistryDouble } from "../testing/registry-double.ts";
import type { Asked } from "../testing/wire.ts";
import { unique } from "./artifact.ts";
import { ClaimCalls, insisting, openClaimPlugin } from "./claim-calls.ts";
import type { CsiError } from "./client.ts";
import { digestsIn } from "./node-state.ts";
import type { Plugin } from "./plugin.ts";
import { kept, nothingLeft, type Refusal } from "./remains.ts";
import { serveImage } from "./served.ts";

const MIB = 2 ** 20;
const forever = Number.POSITIVE_INFINITY;
type Held = Readonly<Record<string, string>>;

let node: Plugin;
let other: Plugin;
let registry: RegistryDouble;
beforeAll(async () => {
  [node, other] = await Promise.all([openClaimPlugin(), openClaimPlugin()]);
});
afterAll(async () => {
  for (const plugin of [node, other]) await plugin[Symbol.asyncDispose]();
});
let open = new AsyncDisposableStack();
afterEach(async () => {
  await open.disposeAsync();
  open = new AsyncDisposableStack();
});

/** A claim of one cache of the registry of this test. */
function claimOf(plugin: Plugin, name: string, more: Readonly<Record<string, string>> = {}): ClaimCalls {
  const repository = `${registry.host}/caches/\${cache}`;
  const cached = { repository, cache: "m2", key: "main", when: "always", "base-deadline": "0s" };
  return new ClaimCalls({ plugin }, { name: `${registry.host}-${name}`, parameters: { ...cached, ...more } });
}

/** Used by one pod, which does that; what it held then. */
async function use(claim: ClaimCalls, work: (at: string) => Promise<void> = async () => {}): Promise<Held> {
  await insisting((options) => claim.create(options));
  await insisting((options) => claim.stage(options));
  let at = "";
  await insisting(async (options) => {
    at = await claim.publish({ pod: "user", options });
  });
  await work(at);
  const held = await digestsIn(at);
  await insisting(() => claim.unpublish("user"));
  await insisting(() => claim.unstage());
  return held;
}

async function fillFirst(at: string): Promise<void> {
  await mkdir(path.join(at, "deep"));
  await writeFile(path.join(at, "deep/first.jar"), unique(MIB));
}

/** Larger than the 4 MiB that some take at once. */
const addSecond = async (at: string) => await writeFile(path.join(at, "deep/second.jar"), unique(5 * MIB));

/** A registry with one version in its cache, and a claim that started from that and is still to be written back. */
async function begin(): Promise<{ readonly claim: ClaimCalls; readonly held: Held }> {
  registry = open.use(await openRegistryDouble());
  const first = claimOf(node, "first");
  await use(first, fillFirst);
  await first.deleteAtLast();
  const claim = claimOf(node, "second");
  return { claim, held: await use(claim, addSecond) };
}

/** How DeleteVolume ends once it is not under way any more. */
async function refusedAtLast(claim: ClaimCalls): Promise<Refusal> {
  return await claim.deleteAtLast().then(
    () => ({ code: "OK", message: "" }),
    ({ code, message }: CsiError) => ({ code, message }),
  );
}

/** The registry has it under its key, whole, another node shows it, and this one owes it nothing any more. */
async function expectWrittenBack(held: Held): Promise<void> {
  const there = claimOf(other, "there");
  expect(await use(there)).toEqual(held);
  // Nothing changed: nothing is pushed.
  const before = registry.asked.length;
  await there.deleteAtLast();
  expect(sent(before)).toEqual([]);
  for (const plugin of [node, other]) {
    for (const folder of ["claims", "volumes"]) expect(await kept(plugin, folder)).toEqual([]);
    await nothingLeft(plugin);
  }
}

const isUpload = ({ method, path: at }: Asked) => method === "PUT" && at.includes("/blobs/uploads/");
const digestSent = ({ query }: Asked) => new URLSearchParams(query).get("digest") ?? "";
/** The digests of blobs that were sent, as often as they were; since so many requests. */
const sent = (since = 0) => registry.asked.slice(since).filter(isUpload).map(digestSent);
/** Of the blob that such a request is about. */
const blobOf = ({ path: at }: Asked) => /\/blobs\/(sha256:.*)$/.exec(at)?.[1];

/** Loses so many of the blobs that it names so, each after it took the manifest and before it is asked for them again. */
function loseBetween(times: number, isLost: (digest: string) => boolean): void {
  let left = times;
  let isDue = false;
  const watch = (asked: Asked) => {
    // It is put once, and asked for each time.
    if (asked.path.includes("/manifests/sha256:")) isDue = true;
    if (isUpload(asked)) isDue = false;
    const blob = blobOf(asked);
    if (isDue && left > 0 && blob !== undefined && isLost(blob)) {
      registry.pushes.lose(blob as never);
      left -= 1;
      isDue = false;
    }
    return false;
  };
  registry.spoilWhere(watch, { kind: "hang" });
}

/** Spoils what it confirms so many times. */
function spoilKept(spoil: (bytes: Uint8Array) => Uint8Array | undefined, times: number): void {
  let left = times;
  registry.pushes.keeps = (bytes) => (left-- > 0 ? spoil(bytes) : bytes);
}

/** Of what is sent from now on; of what was sent before, once anything more is. */
function isSent() {
  const before = registry.asked.length;
  return (digest: string) => sent(before).includes(digest);
}
function isOld() {
  const old = sent();
  return (digest: string) => old.includes(digest) && sent().length > old.length;
}

const third = (bytes: Uint8Array) => bytes.subarray(0, Math.floor(bytes.length / 3));
const nothing = () => Buffer.alloc(0);
const tooMany = (seconds: string) =>
  ({ kind: "status", status: 429, headers: { "retry-after": seconds } }) as const;

function mend(): void {
  registry.mend();
  registry.pushes.keeps = (bytes) => bytes;
  registry.pushes.immutable = undefined;
  registry.pushes.refuses = undefined;
}

describe("DeleteVolume at a registry that misbehaves for a while", () => {
  it.each<[string, () => void, number]>([
    ["answers 201 and drops all chunks but the first", () => spoilKept(third, 1), 3],
    ["answers 200 with zero bytes after a push", () => spoilKept(nothing, 1), 3],
    ["loses a blob between push and check", () => loseBetween(1, isSent()), 3],
    // All of it is packed then: one archive and one config more.
    ["loses a blob of the base between push and check", () => loseBetween(1, isOld()), 4],
    ["dies in mid-upload", () => registry.spoilWhere(isUpload, { kind: "cut-upload", after: MIB }), 3],
    ["answers 413 over 4 MiB per PATCH", () => (registry.pushes.mostPatchBytes = 4 * MIB), 2],
    ["storms 429", () => registry.spoilWhere(({ method }) => method === "POST", tooMany("1"), 3), 2],
  ])("that %s: asks again until it is written back, in the same flight", async (_, misbehave, uploads) => {
    const { claim, held } = await begin();
    const before = registry.asked.length;
    misbehave();
    await claim.deleteAtLast();
    // One archive and one config, and again what did not arrive.
    expect(sent(before)).toHaveLength(uploads);
    await expectWrittenBack(held);
  });

  it("that answers a mount with 202: has the base copied from the other repository", async () => {
    registry = open.use(await openRegistryDouble());
    const first = claimOf(node, "first", { cache: "seed", key: "seed" });
    await use(first, fillFirst);
    await first.deleteAtLast();
    const [base = ""] = registry.pushes.layersOf("seed");
    const claim = claimOf(node, "second", { from: `${registry.host}/caches/seed:seed` });
    const held = await use(claim, addSecond);
    registry.pushes.mounts = false;
    const before = registry.asked.length;
    // The double keeps all repositories in one place: this one has nothing of it until that is sent.
    const names: readonly unknown[] = [base, registry.pushes.digestOf("seed")];
    const isPut = (name: string) => (one: Asked) =>
      one.method === "PUT" && (one.path.endsWith(name) || digestSent(one) === name);
    const isLacking = ({ path: at }: Asked) => {
      const name = at.includes("/caches/m2/") ? path.basename(at) : "";
      return names.includes(name) && !registry.asked.slice(before).some(isPut(name));
    };
    registry.spoilWhere(isLacking, { kind: "status", status: 404 }, forever);
    await claim.deleteAtLast();
    expect(registry.asked.some(({ query }) => new URLSearchParams(query).get("mount") === base)).toBe(true);
    expect(sent(before).filter((digest) => digest === base)).toHaveLength(1);
    expect(registry.pushes.layersOf("main")).toHaveLength(2);
    await expectWrittenBack(held);
  });

  it("whose base stands under a manifest of 32 MiB: packs all of it anew", async () => {
    const source = open.use(await openRegistryDouble());
    registry = open.use(await openRegistryDouble());
    await serveImage(source, "v1", [{ "deep/seed.jar": unique(MIB) }]);
    const { bytes, mediaType } = source.pushes.manifestOf("v1");
    source.manifest(Buffer.concat([bytes, Buffer.alloc(32 * MIB - bytes.length, " ")]), {
      tags: ["v1"],
      mediaType,
    });
    const claim = claimOf(node, "second", { from: `${source.host}/team/store:v1` });
    const held = await use(claim, addSecond);
    expect(Object.keys(held)).toEqual(["deep/second.jar", "deep/seed.jar"]);
    await claim.deleteAtLast();
    expect(registry.pushes.layersOf("main")).toHaveLength(1);
    await expectWrittenBack(held);
  });
});

type Misbehaviour = [name: string, misbehave: () => void, told: Refusal, tagged: number];

const told = (code: string, message: string): Refusal => ({ code, message });
const notKept = told(
  "UNAVAILABLE",
  "does not have it whole; nothing was tagged, and all of it is still on this node",
);
const notMoved = told("ALREADY_EXISTS", "allow this tag to be moved, or use another repository");
const refusing =
  (status: number, code = "", message = "") =>
  () => {
    registry.pushes.immutable = [status, code, message];
  };
/** Takes a part of the next blob, and is away from then on. */
function die(): void {
  const before = registry.asked.length;
  const isDead = () => registry.asked.slice(before, -1).some(isUpload);
  registry.spoilWhere(isUpload, { kind: "cut-upload", after: MIB });
  registry.spoilWhere(isDead, { kind: "status", status: 503, headers: { "retry-after": "3600" } }, forever);
}

describe("DeleteVolume at a registry that misbehaves until it is mended", () => {
  const refusals: readonly Misbehaviour[] = [
    ["answers 201 and drops all chunks but the first", () => spoilKept(third, forever), notKept, 0],
    ["answers 200 with zero bytes after a push", () => spoilKept(nothing, forever), notKept, 0],
    ["answers 201 and keeps nothing", () => spoilKept(() => undefined, forever), notKept, 0],
    ["loses a blob between push and check", () => loseBetween(forever, isSent()), notKept, 0],
    ["answers 400 on a tag", refusing(400, "TAG_INVALID", "the repository is immutable"), notMoved, 1],
    ["answers 409 on a tag", refusing(409), notMoved, 1],
    ["answers 412 on a tag", refusing(412, "PRECONDITION", "configured as immutable"), notMoved, 1],
    [
      "answers 413 whatever the size",
      () => (registry.pushes.refuses = [413, "SIZE_INVALID", ""]),
      told("OUT_OF_RANGE", "refuses it for its size"),
      0,
    ],
    [
      "answers 403, since its quota is used up",
      () =>
        (registry.pushes.refuses = [403, "DENIED", "it will exceed the configured upper limit of 9 MiB."]),
      told("RESOURCE_EXHAUSTED", "the quota at the registry is used up"),
      0,
    ],
    [
      "answers 401 in mid-push",
      () => registry.spoilWhere(isUpload, { kind: "status", status: 401 }, forever),
      told("UNAUTHENTICATED", "and no secret was given; name one in the class"),
      0,
    ],
    [
      "storms 429 for an hour",
      () => registry.spoilWhere(() => true, tooMany("3600"), forever),
      told("UNAVAILABLE", "answered 429"),
      0,
    ],
    ["dies in mid-upload", die, told("UNAVAILABLE", "503"), 0],
  ];

  it.each<Misbehaviour>(refusals)(
    "that %s: says so and keeps all of it, until it goes",
    async (_, misbehave, words, tagged) => {
      const { claim, held } = await begin();
      const [tags, head] = [registry.pushes.tags(), registry.pushes.digestOf("main")];
      misbehave();
      for (let tries = 0; tries < 2; tries++) {
        const refusal = await refusedAtLast(claim);
        expect(refusal).toEqual({ code: words.code, message: expect.stringContaining(words.message) });
        expect(refusal.message).toContain(registry.host);
      }
      // The key is where it was; a version's tag stands only where all of it does.
      expect(registry.pushes.digestOf("main")).toBe(head);
      expect(registry.pushes.tags()).toHaveLength(tags.length + tagged);
      expect(await kept(node, "claims")).toEqual([claim.id]);
      const next = claimOf(node, "next");
      expect(await use(next)).toEqual(held);
      mend();
      const before = registry.asked.length;
      await claim.deleteAtLast();
      if (tagged > 0) expect(sent(before)).toEqual([]);
      await next.deleteAtLast();
      await expectWrittenBack(held);
    },
  );
});
