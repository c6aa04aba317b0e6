import { afterEach, describe, expect, it } from "vitest";
import { openRealRegistry, registryUser } from "../../testing/real-registry.ts";
import {
  type DoubleOptions,
  openRegistryDouble,
  type RegistryDouble,
} from "../../testing/registry-double.ts";
import type { Asked } from "../../testing/wire.ts";
import type { Access } from "../core/access.ts";
import { type Digest, digestOf } from "../core/digest.ts";
import { isFailure, type Reason } from "../core/failure.ts";
import { pushVersion } from "./push-version.ts";
import { IMAGE, openPushKit, type PushKit, tagOf } from "./testing/push-kit.ts";
import type { PushStep, VersionPush, Watch } from "./version-push.ts";

const watch: Watch = { signal: new AbortController().signal };
const STEPS: readonly PushStep[] = [
  "base",
  "blob",
  "config",
  "manifest",
  "checked",
  "version-tag",
  "key-tag",
  "key-checked",
];

let open = new AsyncDisposableStack();
afterEach(async () => {
  await open.disposeAsync();
  open = new AsyncDisposableStack();
});

async function setting(options?: DoubleOptions) {
  const kit = open.use(await openPushKit());
  const registry = open.use(await openRegistryDouble(options));
  const access: Access = { host: registry.host, repository: "a/b" };
  return { kit, registry, access };
}

const push = async (kit: PushKit, version: VersionPush, more: Partial<Watch> = {}) =>
  await pushVersion(kit.deps, version, { ...watch, ...more });

async function failureOf(promise: Promise<unknown>): Promise<{ reason: Reason; message: string }> {
  const error: unknown = await promise.then(
    (value) => value,
    (error: unknown) => error,
  );
  if (!isFailure(error)) throw error instanceof Error ? error : new Error(JSON.stringify(error));
  return error;
}

const pushed = (digest: Digest, state = "moved") => ({ kind: "pushed", digest, key: { state } });
const isUpload = ({ method, path }: Asked) => method !== "HEAD" && path.includes("/blobs/uploads/");
const uploads = (registry: RegistryDouble) =>
  registry.asked.filter((asked) => isUpload(asked) && asked.method === "PUT").length;

describe("pushVersion()", () => {
  it("sends blobs, config and manifest, and names it by version and key, to a real registry with a password", async () => {
    const kit = open.use(await openPushKit());
    const registry = open.use(await openRealRegistry({ password: true }));
    const credentials = { kind: "basic", ...registryUser } as const;
    const access: Access = { host: registry.host, repository: "team/cache", credentials };
    const first = await kit.version(access, { time: 1, texts: ["one", "two"] });
    const seen: number[] = [];
    const outcome = await push(kit, first, { onProgress: ({ doneBytes }) => void seen.push(doneBytes) });
    const sentBytes = 6 + first.config.length;
    const tags = ["k", tagOf(1)];
    const key = { state: "moved" };
    expect(outcome).toEqual({ kind: "pushed", digest: first.digest, sentBytes, key, tags });
    expect([...new Set(seen)]).toEqual([0, 3, 6, sentBytes]);
    const second = await kit.version(access, { time: 2, texts: ["three"], base: { layers: first.layers } });
    expect(await push(kit, second)).toMatchObject({ key: { state: "moved", previous: first.digest } });
    expect(await kit.deps.oras.listTags(access)).toEqual(["k", tagOf(1), tagOf(2)]);
    expect(await kit.deps.oras.resolve(access, "k")).toBe(second.digest);
    expect(await kit.deps.oras.resolve(access, tagOf(1))).toBe(first.digest);
  });

  it("sends nothing that the registry has, and may be called again", async () => {
    const { kit, registry, access } = await setting();
    const version = await kit.version(access, { time: 1, texts: ["one"] });
    expect(await push(kit, version)).toMatchObject({ sentBytes: 3 + version.config.length });
    const before = registry.asked.length;
    expect(await push(kit, version)).toMatchObject({ ...pushed(version.digest), sentBytes: 0 });
    expect(registry.asked.slice(before).filter(({ method }) => !["HEAD", "GET"].includes(method))).toEqual(
      [],
    );
  });

  it.each(STEPS)("stopped after %s, goes on where it was and ends the same", async (stop) => {
    const { kit, registry, access } = await setting();
    const version = await kit.version(access, { time: 1, texts: ["one", "two"] });
    const seen: PushStep[] = [];
    const onStep = async (step: PushStep) => {
      seen.push(step);
      if (step === stop) throw new Error("stopped");
    };
    await expect(push(kit, version, { onStep })).rejects.toThrow("stopped");
    // Never half: what a tag names is there, with all it names.
    for (const tag of registry.pushes.tags()) {
      expect(registry.pushes.digestOf(tag)).toBe(version.digest);
      expect(uploads(registry)).toBe(3);
    }
    expect(await push(kit, version)).toMatchObject(pushed(version.digest));
    expect(uploads(registry)).toBe(3);
    expect(registry.pushes.tags()).toEqual(["k", tagOf(1)]);
    expect(seen.at(-1)).toBe(stop);
  });

  it("does not call missing what a registry loses before it is tagged: to who deletes that would sound like done", async () => {
    const { kit, registry, access } = await setting();
    const version = await kit.version(access, { time: 1, texts: ["one", "two"] });
    const lose = async (step: PushStep) => {
      if (step === "checked") registry.pushes.lose(version.layers[0]?.digest as never);
    };
    const failure = await failureOf(push(kit, version, { onStep: lose }));
    expect(failure).toMatchObject({ reason: "unavailable" });
    expect(failure.message).toContain("lost a blob that it had a moment ago; it is sent again later");
    expect(registry.pushes.tags()).toEqual([]);
    expect(await push(kit, version)).toMatchObject(pushed(version.digest));
  });

  it("ends with the signal's reason when it is given up, with nothing tagged", async () => {
    const { kit, registry, access } = await setting();
    const controller = new AbortController();
    const isSent = (asked: Asked) => {
      if (!isUpload(asked) || asked.method !== "PUT") return false;
      controller.abort(new Error("given up"));
      return true;
    };
    registry.spoilWhere(isSent, { kind: "hang" });
    const version = await kit.version(access, { time: 1, texts: ["one"] });
    await expect(push(kit, version, { signal: controller.signal })).rejects.toThrow("given up");
    expect(uploads(registry)).toBe(1);
    expect(registry.pushes.tags()).toEqual([]);
  });

  it("leaves the key alone for a version that must not have it", async () => {
    const { kit, registry, access } = await setting();
    const { key: _, ...version } = await kit.version(access, { time: 1, texts: ["one"] });
    expect(await push(kit, version)).toMatchObject({ key: { state: "left" } });
    expect(registry.pushes.tags()).toEqual([tagOf(1)]);
  });

  it("refuses a manifest of 32 MiB in words, though the registry would take it, and sends nothing", async () => {
    const { kit, registry, access } = await setting();
    const version = await kit.version(access, { time: 1, texts: ["one"] });
    const bytes = Buffer.alloc(32 * 1024 ** 2, " ");
    bytes.set(version.manifest.bytes);
    const failure = await failureOf(push(kit, { ...version, manifest: { bytes, mediaType: IMAGE } }));
    expect(failure).toMatchObject({ reason: "out-of-range" });
    expect(failure.message).toContain("more than the 4 MiB");
    expect(registry.asked).toEqual([]);
  });

  it("is no half of another's version under the same tag", async () => {
    const { kit, registry, access } = await setting();
    const mine = await kit.version(access, { time: 1, texts: ["one"] });
    const other = await kit.version(access, { time: 2, texts: ["two"] });
    await push(kit, { ...other, tag: mine.tag });
    expect(await failureOf(push(kit, mine))).toMatchObject({ reason: "conflict" });
    expect(registry.pushes.digestOf(tagOf(1))).toBe(other.digest);
  });

  it("moves its tag from what an earlier call packed of the same version, since that is not whole any more", async () => {
    const { kit, registry, access } = await setting();
    const before = await kit.version(access, { time: 1, texts: ["base", "one"] });
    await push(kit, before);
    registry.pushes.lose(digestOf("base"));
    const now = await kit.version(access, { time: 1, texts: ["all of it"] });
    expect(await push(kit, now)).toMatchObject(pushed(now.digest));
    expect(registry.pushes.digestOf(tagOf(1))).toBe(now.digest);
    expect(registry.pushes.digestOf("k")).toBe(now.digest);
  });
});

describe("pushVersion() of a base", () => {
  const based = async (kit: PushKit, access: Access, source?: VersionPush["base"]["source"]) => {
    const layers = [{ digest: digestOf("base"), size: 4 }];
    return await kit.version(access, {
      time: 2,
      texts: ["two"],
      base: source === undefined ? { layers } : { layers, source },
    });
  };

  it("mounts it from another repository of the same registry, and copies it from another registry", async () => {
    const kit = open.use(await openPushKit());
    const [near, far] = [open.use(await openRealRegistry()), open.use(await openRealRegistry())];
    for (const host of [near.host, far.host]) {
      const from: Access = { host, repository: "from/it" };
      const source = await kit.version(from, { time: 1, texts: ["base"] });
      await push(kit, source);
      const access: Access = { host: near.host, repository: `cache/${host === near.host}` };
      const version = await based(kit, access, { access: from, manifest: source.digest });
      expect(await push(kit, version)).toMatchObject(pushed(version.digest));
      expect(await kit.deps.oras.listTags(access)).toEqual(["k", tagOf(2)]);
    }
  });

  it("has it copied where the registry answers a mount with 202", async () => {
    const { kit, registry, access } = await setting();
    const from: Access = { ...access, repository: "from/it" };
    const source = await kit.version(from, { time: 1, texts: ["base"] });
    await push(kit, source);
    registry.pushes.mounts = false;
    // To us, then to ORAS: the double keeps all repositories in one place.
    for (const digest of [source.digest, digestOf("base")]) {
      const isThere = ({ path }: Asked) => path.includes("/a/b/") && path.endsWith(digest);
      registry.spoilWhere(isThere, { kind: "status", status: 404 }, digest === source.digest ? 1 : 2);
    }
    const before = uploads(registry);
    const version = await based(kit, access, { access: from, manifest: source.digest });
    expect(await push(kit, version)).toMatchObject(pushed(version.digest));
    const asked = registry.asked.filter(({ query }) => query.startsWith(`?mount=${digestOf("base")}`));
    expect(asked).toHaveLength(1);
    expect(uploads(registry)).toBe(before + 3);
  });

  it("says which layers have vanished from the repository, with nothing sent or tagged", async () => {
    const { kit, registry, access } = await setting();
    const outcome = await push(kit, await based(kit, access));
    expect(outcome).toEqual({
      kind: "base-missing",
      layers: [digestOf("base")],
      why: `${registry.host}/a/b does not have it any more`,
    });
    expect(uploads(registry)).toBe(0);
  });

  it.each([
    [
      "its manifest",
      "has vanished",
      (registry: RegistryDouble, manifest: Digest) => registry.pushes.lose(manifest),
    ],
    ["a layer", "does not have all", (registry: RegistryDouble) => registry.pushes.lose(digestOf("base"))],
  ])("says that the source does not have %s any more", async (_, why, lose) => {
    const { kit, registry, access } = await setting();
    const source = open.use(await openRegistryDouble());
    const from: Access = { ...access, host: source.host };
    const { digest } = await (async () => {
      const version = await kit.version(from, { time: 1, texts: ["base"] });
      await push(kit, version);
      return version;
    })();
    lose(source, digest);
    const outcome = await push(kit, await based(kit, access, { access: from, manifest: digest }));
    expect(outcome).toMatchObject({ kind: "base-missing", layers: [digestOf("base")] });
    expect(outcome.kind === "base-missing" && outcome.why).toContain(why);
    expect(registry.pushes.tags()).toEqual([]);
  });

  it("packs anew what stands under a manifest of 32 MiB, which ORAS would not copy", async () => {
    const { kit, access } = await setting();
    const source = open.use(await openRegistryDouble());
    source.blob("base");
    const bytes = Buffer.alloc(32 * 1024 ** 2, " ");
    bytes.set(
      Buffer.from(
        JSON.stringify({
          schemaVersion: 2,
          mediaType: IMAGE,
          config: { mediaType: "a/b", size: 4, digest: digestOf("base") },
          layers: [],
        }),
      ),
    );
    const manifest = source.manifest(bytes);
    const from: Access = { ...access, host: source.host };
    const outcome = await push(kit, await based(kit, access, { access: from, manifest }));
    expect(outcome.kind === "base-missing" && outcome.why).toContain("larger than the 4 MiB");
  });

  it("is denied, not missing, where the source refuses the credentials", async () => {
    const { kit, access } = await setting();
    const source = open.use(
      await openRegistryDouble({ auth: { kind: "basic", username: "ann", password: "s3cret" } }),
    );
    const from: Access = { ...access, host: source.host };
    const version = await based(kit, access, { access: from, manifest: digestOf("any") });
    expect(await failureOf(push(kit, version))).toMatchObject({ reason: "denied" });
  });
});

describe("pushVersion() to a registry that misbehaves", () => {
  const big = "x".repeat(9 * 1024 ** 2);

  it.each([
    [
      "drops all chunks but the first",
      (bytes: Uint8Array) => bytes.subarray(0, Math.floor(bytes.length / 3)),
    ],
    ["keeps zero bytes", () => Buffer.alloc(0)],
    ["loses it", () => undefined],
  ])("that answers 201 and %s: sends it again, and says so when that does not help", async (_, keeps) => {
    const { kit, registry, access } = await setting();
    const version = await kit.version(access, { time: 1, texts: [big] });
    let spoilt = 1;
    registry.pushes.keeps = (bytes) => (spoilt-- > 0 ? keeps(bytes) : bytes);
    expect(await push(kit, version)).toMatchObject(pushed(version.digest));
    expect(uploads(registry)).toBe(3);

    registry.pushes.keeps = keeps;
    const next = await kit.version(access, { time: 2, texts: [`${big}2`] });
    const failure = await failureOf(push(kit, next));
    expect(failure.reason).toBe("unavailable");
    expect(failure.message).toContain(`the blob ${digestOf(`${big}2`)}`);
    expect(failure.message).toContain("nothing was tagged, and all of it is still on this node");
    expect(registry.pushes.tags()).toEqual(["k", tagOf(1)]);
    expect(registry.pushes.digestOf("k")).toBe(version.digest);
  });

  it("that has the blob by its index alone, and may not delete it: says so, with nothing tagged", async () => {
    const { kit, registry, access } = await setting();
    const version = await kit.version(access, { time: 1, texts: ["one"] });
    registry.blob("", digestOf("one"));
    registry.pushes.deletes = false;
    expect(await failureOf(push(kit, version))).toMatchObject({ reason: "unavailable" });
    expect(registry.pushes.tags()).toEqual([]);
    registry.pushes.deletes = true;
    expect(await push(kit, version)).toMatchObject(pushed(version.digest));
  });

  it("that loses a blob between push and check: sends that blob again", async () => {
    const { kit, registry, access } = await setting();
    const version = await kit.version(access, { time: 1, texts: ["one", "two"] });
    let lost = 1;
    const onStep = async (step: PushStep) => {
      if (step === "manifest" && lost-- > 0) registry.pushes.lose(digestOf("one"));
    };
    expect(await push(kit, version, { onStep })).toMatchObject({
      ...pushed(version.digest),
      sentBytes: 9 + version.config.length,
    });
  });

  it("that loses the tags at once: is not told as done", async () => {
    const { kit, registry, access } = await setting();
    const version = await kit.version(access, { time: 1, texts: ["one"] });
    const onStep = async (step: PushStep) => {
      if (step === "key-checked") registry.pushes.lose(tagOf(1) as Digest);
    };
    const failure = await failureOf(push(kit, version, { onStep }));
    expect(failure).toMatchObject({ reason: "unavailable" });
    expect(failure.message).toContain("confirmed the tag and does not have it");
    expect(await push(kit, version)).toMatchObject(pushed(version.digest));
  });

  it("that takes no more than 4 MiB in a PATCH: sends each blob in one PUT", async () => {
    const { kit, registry, access } = await setting();
    registry.pushes.mostPatchBytes = 4 * 1024 ** 2;
    const version = await kit.version(access, { time: 1, texts: [big] });
    const seen = new Set<number>();
    const onProgress = ({ doneBytes }: { readonly doneBytes: number }) => void seen.add(doneBytes);
    expect(await push(kit, version, { onProgress })).toMatchObject(pushed(version.digest));
    expect(seen.size).toBeGreaterThan(10);
    expect(registry.asked.filter(({ method }) => method === "PATCH")).toEqual([]);
  });

  it("that dies in mid-upload: sends it again", async () => {
    const { kit, registry, access } = await setting();
    const version = await kit.version(access, { time: 1, texts: [big] });
    registry.spoilWhere(({ method }) => method === "PUT", { kind: "cut-upload", after: 1024 ** 2 }, 2);
    expect(await push(kit, version)).toMatchObject(pushed(version.digest));
    expect(kit.rig.retries.map(({ reason }) => reason)).toEqual(["unavailable", "unavailable"]);
  });

  it("that storms 429: waits it out, two minutes at most, and goes on with the next call", async () => {
    const { kit, registry, access } = await setting();
    const version = await kit.version(access, { time: 1, texts: ["one"] });
    const storm = { kind: "status", status: 429, headers: { "retry-after": "1" } } as const;
    let answered = 0;
    const isWrite = ({ method }: Asked) => {
      if (method !== "POST") return false;
      answered += 1;
      // So that the test does not take the two minutes.
      kit.rig.now += 15_000;
      return true;
    };
    registry.spoilWhere(isWrite, storm, 1_000);
    const began = kit.rig.now;
    const failure = await failureOf(push(kit, version));
    expect(failure).toMatchObject({ reason: "unavailable" });
    expect(failure.message).toContain("too many requests");
    expect(kit.rig.now - began).toBeLessThan(240_000);
    expect(answered).toBeGreaterThan(5);
    expect(registry.pushes.tags()).toEqual([]);
    registry.mend();
    expect(await push(kit, version)).toMatchObject(pushed(version.digest));
  });

  it("that asks readers to come back later: waits as long as it asks", async () => {
    const { kit, registry, access } = await setting();
    const version = await kit.version(access, { time: 1, texts: ["one"] });
    registry.spoil("/blobs/", { kind: "status", status: 429, headers: { "retry-after": "40" } });
    expect(await push(kit, version)).toMatchObject(pushed(version.digest));
    expect(kit.rig.waits[0]).toBeGreaterThanOrEqual(40_000);
  });

  const status = (status: number, code = "", message = "") => [status, code, message] as const;
  it.each([
    ["a bare 400", status(400)],
    [
      "400 TAG_INVALID",
      status(
        400,
        "TAG_INVALID",
        "The image tag 'k' cannot be overwritten because the repository is immutable.",
      ),
    ],
    ["409", status(409)],
    ["412", status(412, "PRECONDITION", "Failed to process request due to 'a:k' configured as immutable.")],
  ])("that moves no tag (%s): says so, and the version stays", async (_, refusal) => {
    const { kit, registry, access } = await setting();
    const first = await kit.version(access, { time: 1, texts: ["one"] });
    await push(kit, first);
    registry.pushes.immutable = refusal;
    // What is so already is no move.
    expect(await push(kit, first)).toMatchObject(pushed(first.digest));
    const second = await kit.version(access, { time: 2, texts: ["two"] });
    const failure = await failureOf(push(kit, second));
    expect(failure).toMatchObject({ reason: "conflict" });
    expect(failure.message).toBe(
      `Cannot tag ${registry.host}/a/b:k: the registry lets it not be moved from ${first.digest}; allow this tag to be moved, or use another repository`,
    );
    expect(registry.pushes.digestOf(tagOf(2))).toBe(second.digest);
    expect(registry.pushes.digestOf("k")).toBe(first.digest);
    registry.pushes.immutable = undefined;
    expect(await push(kit, second)).toMatchObject({ ...pushed(second.digest), sentBytes: 0 });
  });

  it.each<[string, number, Reason, string]>([
    ["413", 413, "out-of-range", "refuses it for its size"],
    ["401 in mid-push", 401, "denied", 'refused it with the pull secret "acme-push"'],
    ["403", 403, "denied", 'refused it with the pull secret "acme-push"'],
    ["404, as one that makes no repositories", 404, "unavailable", "create it there"],
  ])("that answers %s: says so, and goes on when that is mended", async (_, code, reason, words) => {
    const user = { username: "ann", password: "s3cret-word" };
    const { kit, registry, access } = await setting({ auth: { kind: "bearer", ...user } });
    const known = {
      ...access,
      credentials: { kind: "basic", ...user } as const,
      origin: 'pull secret "acme-push"',
    };
    const version = await kit.version(known, { time: 1, texts: ["one", "two"] });
    let blobs = 0;
    const isSecond = (asked: Asked) => {
      if (!isUpload(asked) || asked.headers["authorization"] === undefined) return false;
      if (asked.method === "POST") blobs += 1;
      return blobs > 1;
    };
    registry.spoilWhere(isSecond, { kind: "status", status: code }, 20);
    const failure = await failureOf(push(kit, version));
    expect(failure.reason).toBe(reason);
    expect(failure.message).toContain(words);
    expect(failure.message).not.toContain("s3cret-word");
    expect(registry.pushes.tags()).toEqual([]);
    registry.mend();
    expect(await push(kit, version)).toMatchObject({
      ...pushed(version.digest),
      sentBytes: 3 + version.config.length,
    });
  });

  it("whose quota is used up: is told as full", async () => {
    const { kit, registry, access } = await setting();
    const version = await kit.version(access, { time: 1, texts: ["one"] });
    const message =
      "adding 1 MiB of storage resource, which when updated to current usage of 9 MiB will exceed the configured upper limit of 9 MiB.";
    registry.pushes.refuses = [403, "DENIED", message];
    const failure = await failureOf(push(kit, version));
    expect(failure).toMatchObject({ reason: "full" });
    expect(failure.message).toContain("the quota at the registry is used up");
    registry.pushes.refuses = undefined;
    expect(await push(kit, version)).toMatchObject(pushed(version.digest));
  });
});

describe("pushVersion() beside other writers", () => {
  it("leaves the key to a newer version, hours later too", async () => {
    const { kit, registry, access } = await setting();
    const late = await kit.version(access, { time: 1, texts: ["one"] });
    const newer = await kit.version(access, { time: 2, texts: ["two"] });
    await push(kit, newer);
    expect(await push(kit, late)).toMatchObject({ key: { state: "superseded", by: newer.digest } });
    expect(registry.pushes.digestOf("k")).toBe(newer.digest);
    expect(registry.pushes.tags()).toEqual(["k", tagOf(1), tagOf(2)]);
  });

  it("gives the key back to a newer version that it overtook while moving it", async () => {
    const { kit, registry, access } = await setting();
    const older = await kit.version(access, { time: 1, texts: ["one"] });
    const newer = await kit.version(access, { time: 2, texts: ["two"] });
    const onStep = async (step: PushStep) => {
      // The other writer does all of it between our look at the key and our move of it.
      if (step !== "version-tag") return;
      registry.pushes.beforeTag = () => {
        registry.pushes.beforeTag = () => {};
        for (const blob of [...newer.layers.map(() => "two"), newer.config]) registry.blob(blob);
        for (const tag of ["k", tagOf(2)]) registry.manifest(newer.manifest.bytes, { tags: [tag] });
      };
    };
    expect(await push(kit, older, { onStep })).toMatchObject({
      key: { state: "superseded", by: newer.digest },
    });
    expect(registry.pushes.digestOf("k")).toBe(newer.digest);
  });

  it("takes the key from an older version that came in between", async () => {
    const { kit, registry, access } = await setting();
    const older = await kit.version(access, { time: 1, texts: ["one"] });
    const newer = await kit.version(access, { time: 2, texts: ["two"] });
    await push(kit, older);
    const onStep = async (step: PushStep) => {
      if (step === "key-tag") registry.manifest(older.manifest.bytes, { tags: ["k"] });
    };
    expect(await push(kit, newer, { onStep })).toMatchObject(pushed(newer.digest));
    expect(registry.pushes.digestOf("k")).toBe(newer.digest);
  });

  it("gives the key to no version that must not have it, and takes it from what is no version", async () => {
    const { kit, registry, access } = await setting();
    const { key: _, ...tainted } = await kit.version(access, { time: 9, texts: ["bad"], isKeyless: true });
    await push(kit, tainted);
    registry.manifest("no manifest at all", { tags: ["k"] });
    const version = await kit.version(access, { time: 1, texts: ["one"] });
    expect(await push(kit, version)).toMatchObject(pushed(version.digest));
    expect(registry.pushes.digestOf("k")).toBe(version.digest);
  });

  it("ends with the newest at the key and every version kept, ten at once", async () => {
    const kit = open.use(await openPushKit());
    const registry = open.use(await openRealRegistry());
    const access: Access = { host: registry.host, repository: "a/b" };
    const versions = await Promise.all(
      Array.from(
        { length: 10 },
        async (_, at) => await kit.version(access, { time: at + 1, texts: [`text ${at}`] }),
      ),
    );
    const outcomes = await Promise.all(versions.map(async (version) => await push(kit, version)));
    expect(outcomes.every(({ kind }) => kind === "pushed")).toBe(true);
    expect(await kit.deps.oras.resolve(access, "k")).toBe(versions.at(-1)?.digest);
    expect(await kit.deps.oras.listTags(access)).toHaveLength(11);
  });

  it("moves the key where nobody may list the tags", async () => {
    const { kit, registry, access } = await setting();
    const version = await kit.version(access, { time: 1, texts: ["one"] });
    registry.spoil("/tags/list", { kind: "status", status: 405 }, 9);
    expect(await push(kit, version)).toMatchObject(pushed(version.digest));
  });
});
