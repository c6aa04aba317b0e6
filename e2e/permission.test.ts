// Content is shared, permission is not: a hostile pod beside the one that may.
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { basic } from "../testing/guard.ts";
import { openRegistryDouble, type RegistryDouble } from "../testing/registry-double.ts";
import { INDEX, putFiles, unique } from "./artifact.ts";
import { contentsOf } from "./contents.ts";
import { metric } from "./metrics.ts";
import { openPlugin, type Plugin } from "./plugin.ts";
import { kept, nothingLeft, refusalInTime, refusalOf } from "./remains.ts";
import { type PodVolume, podVolume, pullSecret } from "./volume.ts";

type User = readonly [username: string, password: string];
const OWNER: User = ["owner", "owners-password"];
const SECOND: User = ["second", "seconds-password"];
const STRANGER: User = ["stranger", "strangers-password"];

let registry: RegistryDouble;
let evil: RegistryDouble;
let mirror: RegistryDouble;
let plugin: Plugin;
/** What only OWNER and SECOND may have. */
let secret: { readonly digest: string; readonly blob: string; readonly bytes: Buffer };
let owners: PodVolume;

beforeAll(async () => {
  mirror = await openRegistryDouble();
  evil = await openRegistryDouble();
});
afterAll(async () => {
  await evil[Symbol.asyncDispose]();
  await mirror[Symbol.asyncDispose]();
});

beforeEach(async () => {
  registry = await openRegistryDouble();
  const registries = [
    { match: registry.host, mirrors: [{ url: `http://${mirror.host}`, capabilities: ["pull"] }] },
  ];
  plugin = await openPlugin({ settings: { registries } });
  const bytes = unique(20_000);
  const { digest, blobs } = putFiles(registry, { "secret.txt": bytes });
  secret = { digest, blob: blobs[0] ?? "", bytes };
  protect("private", [OWNER, SECOND]);
  withhold("open");
  owners = await publish(registry, `private@${digest}`, OWNER);
});
afterEach(async () => {
  await plugin[Symbol.asyncDispose]();
  await registry[Symbol.asyncDispose]();
});

/** Lets these users alone into a repository. */
function protect(repository: string, users: readonly User[]): void {
  const known = new Set(users.map((user) => basic(...user)));
  registry.spoilWhere(
    ({ path, headers }) =>
      path.startsWith(`/v2/${repository}/`) && !known.has(String(headers["authorization"])),
    { kind: "status", status: 401, headers: { "www-authenticate": 'Basic realm="double"' } },
    Number.POSITIVE_INFINITY,
  );
}

/** The repository does not have the secret. */
function withhold(repository: string): void {
  registry.spoilWhere(
    ({ path }) =>
      path.startsWith(`/v2/${repository}/`) &&
      [secret.digest, secret.blob].some((each) => path.endsWith(each)),
    { kind: "status", status: 404 },
    Number.POSITIVE_INFINITY,
  );
}

async function volumeOf(at: RegistryDouble, name: string, user?: User): Promise<PodVolume> {
  return await podVolume(plugin, {
    attributes: { reference: `${at.host}/${name}` },
    ...(user === undefined ? {} : { secrets: pullSecret(at.host, ...user) }),
  });
}

async function publish(at: RegistryDouble, name: string, user?: User): Promise<PodVolume> {
  const volume = await volumeOf(at, name, user);
  await volume.publish();
  return volume;
}

/** The refusal, after which only the owner's volume is there. */
async function refused(at: RegistryDouble, name: string, user?: User, deadlineMs = 60_000) {
  const volume = await volumeOf(at, name, user);
  const refusal = await refusalInTime(volume, deadlineMs);
  expect(await kept(plugin, "records")).toHaveLength(1);
  expect(await kept(plugin, "trees")).toHaveLength(1);
  expect(Object.keys(await contentsOf(owners.target))).toEqual(["secret.txt"]);
  for (const [, password] of [OWNER, SECOND, STRANGER]) expect(refusal.message).not.toContain(password);
  return refusal;
}

const denied = { code: "UNAUTHENTICATED" };
const missing = { code: "NOT_FOUND" };

describe("publish of private content that is on the node", () => {
  it("is for whom the registry lets in: with the owner's secret or another good one, without a byte sent again", async () => {
    const before = registry.bytesSent(secret.blob as never);
    for (const user of [OWNER, SECOND]) {
      const volume = await publish(registry, `private@${secret.digest}`, user);
      expect(await contentsOf(volume.target)).toEqual(await contentsOf(owners.target));
      await volume.unpublish();
    }
    expect(registry.bytesSent(secret.blob as never)).toBe(before);
  });

  it("is denied without a secret, with a wrong password and with a stranger's", async () => {
    expect(await refused(registry, `private@${secret.digest}`)).toMatchObject(denied);
    const wrong = await refused(registry, `private@${secret.digest}`, [OWNER[0], "guess"]);
    expect(wrong).toMatchObject(denied);
    expect(wrong.message).toContain("pull secret");
    expect(wrong.message).not.toContain("guess");
    expect(await refused(registry, `private@${secret.digest}`, STRANGER)).toMatchObject(denied);
  });

  it("is denied under a tag as well", async () => {
    putFiles(registry, { "secret.txt": secret.bytes }, { tags: ["v1"] });
    expect(await refused(registry, "private:v1", STRANGER)).toMatchObject(denied);
    const volume = await publish(registry, "private:v1", SECOND);
    // Now the node knows what the tag means, and still asks who may.
    expect(await refusalOf((await volumeOf(registry, "private:v1", STRANGER)).publish())).toMatchObject(
      denied,
    );
    await volume.unpublish();
  });

  it("is not there for an open repository named with its digest", async () => {
    expect(await refused(registry, `open@${secret.digest}`)).toMatchObject(missing);
  });
});

describe("publish from a registry of the pod's own", () => {
  it("that answers 200 to anything gets what it sent itself, or nothing", async () => {
    evil.blob("not the secret", secret.blob as never);
    const taken = putFiles(registry, { "secret.txt": secret.bytes });
    expect(taken.digest).toBe(secret.digest);
    // It even has the manifest, which its owner may have been told.
    putFiles(evil, { "secret.txt": secret.bytes });
    evil.blob(Buffer.alloc(secret.bytes.length, "x"), secret.blob as never);
    expect(await refused(evil, `x@${secret.digest}`)).toMatchObject({ code: "DATA_LOSS" });
    evil.manifest("not that manifest", { as: secret.digest as never });
    expect(await refused(evil, `x@${secret.digest}`)).toMatchObject({ code: "DATA_LOSS" });
  });

  it("whose manifest names private layers gets none", async () => {
    const { digest } = putFiles(evil, { "mine.txt": secret.bytes });
    evil.spoil(secret.blob, { kind: "status", status: 404 }, 1_000);
    expect(await refused(evil, `x@${digest}`)).toMatchObject(missing);
    evil.mend();
  });

  it("whose index names a private manifest gets none", async () => {
    const platform = { os: "linux", architecture: process.arch === "x64" ? "amd64" : process.arch };
    const entry = {
      mediaType: "application/vnd.oci.image.manifest.v1+json",
      digest: secret.digest,
      size: 500,
    };
    const index = { schemaVersion: 2, mediaType: INDEX, manifests: [{ ...entry, platform }] };
    const digest = evil.manifest(JSON.stringify(index), { mediaType: INDEX });
    evil.spoil(`/manifests/${secret.digest}`, { kind: "status", status: 404 }, 1_000);
    expect(await refused(evil, `x@${digest}`)).toMatchObject(missing);
    evil.mend();
  });

  it("that really has the same content sends it all, and shares the store only then", async () => {
    const { digest, blobs } = putFiles(evil, { "secret.txt": secret.bytes });
    expect(digest).toBe(secret.digest);
    const before = evil.bytesSent(blobs[0] as never);
    const volume = await publish(evil, `x@${digest}`);
    expect(evil.bytesSent(blobs[0] as never) - before).toBe(secret.bytes.length);
    expect(await kept(plugin, "layers")).toHaveLength(1);
    await volume.unpublish();
  });
});

describe("publish with a mirror without authentication", () => {
  it("is denied although the mirror has everything", async () => {
    putFiles(mirror, { "secret.txt": secret.bytes });
    expect(await refused(registry, `private@${secret.digest}`)).toMatchObject(denied);
    expect(await refused(registry, `private@${secret.digest}`, STRANGER)).toMatchObject(denied);
  });
});

describe("publish that joined a flight which ends denied", () => {
  it("is not denied with it: the flight ends for its own credentials only", async () => {
    const bytes = unique(20_000);
    const { digest, blobs } = putFiles(registry, { "fresh.txt": bytes });
    const isOwners = (headers: Readonly<Record<string, unknown>>) =>
      headers["authorization"] === basic(...OWNER);
    const hold = registry.hold(({ path, headers }) => path.includes(blobs[0] ?? "-") && isOwners(headers));
    const first = refusalOf((await volumeOf(registry, `private@${digest}`, OWNER)).publish());
    await expect.poll(() => registry.count(blobs[0] ?? "-")).toBe(1);
    const volume = await volumeOf(registry, `private@${digest}`, SECOND);
    const second = volume.publish();
    await expect.poll(() => metric(plugin, "larder_flights_joined_total")).toBe(1);
    registry.spoilWhere(
      ({ path, headers }) => path.includes(blobs[0] ?? "-") && isOwners(headers),
      { kind: "status", status: 403 },
      Number.POSITIVE_INFINITY,
    );
    hold.release();
    expect(await first).toMatchObject(denied);
    await second;
    expect(Object.keys(await contentsOf(volume.target))).toEqual(["fresh.txt"]);
    await volume.unpublish();
  });
});

describe("publish while the registry is down", () => {
  const goesDown = () =>
    registry.spoilWhere(() => true, { kind: "status", status: 503 }, Number.POSITIVE_INFINITY);

  it("passes on living proofs only", async () => {
    registry.mend();
    goesDown();
    const volume = await publish(registry, `private@${secret.digest}`, OWNER);
    await volume.unpublish();
    const others = [undefined, SECOND, STRANGER, [OWNER[0], "guess"] as const];
    const asked = others.map((user) => refused(registry, `private@${secret.digest}`, user, 5_000));
    for (const refusal of await Promise.all(asked)) expect(refusal).toMatchObject({ code: "UNAVAILABLE" });
  });

  it("passes on none after a restart, and the owner's pod goes on reading", async () => {
    await plugin.kill();
    plugin = await plugin.restart();
    registry.mend();
    goesDown();
    expect(await refused(registry, `private@${secret.digest}`, OWNER, 5_000)).toMatchObject({
      code: "UNAVAILABLE",
    });
  });

  it("passes no more once a proof is too old", async () => {
    await using other = await openPlugin({ settings: { proof: { ttl: "1s" } } });
    const request = {
      attributes: { reference: `${registry.host}/private@${secret.digest}` },
      secrets: pullSecret(registry.host, ...OWNER),
    };
    await (await podVolume(other, request)).publish();
    registry.mend();
    goesDown();
    await expect
      .poll(
        async () => {
          const volume = await podVolume(other, request);
          return await volume.publish({ deadlineMs: 3_000 }).then(
            async () => await volume.unpublish().then(() => "OK"),
            ({ code }: { code: string }) => code,
          );
        },
        { timeout: 120_000 },
      )
      .toBe("UNAVAILABLE");
  });
});

describe("publish with the pull secrets of two namespaces", () => {
  it("lets each in by its own, whatever order they come in", async () => {
    const { digest } = putFiles(registry, { shared: unique() });
    const order = [STRANGER, SECOND, undefined, OWNER, STRANGER];
    const ends = [];
    for (const user of order) {
      const volume = await volumeOf(registry, `private@${digest}`, user);
      ends.push(
        await volume.publish().then(
          () => "OK",
          ({ code }: { code: string }) => code,
        ),
      );
      await volume.unpublish();
    }
    expect(ends).toEqual(["UNAUTHENTICATED", "OK", "UNAUTHENTICATED", "OK", "UNAUTHENTICATED"]);
    await owners.unpublish();
    await nothingLeft(plugin);
  });
});
