// Registries that cannot be trusted with a connection, a redirect or a token, through the door.
import { writeFile } from "node:fs/promises";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type DoubleOptions, openRegistryDouble, type RegistryDouble } from "../testing/registry-double.ts";
import { makeSelfSigned } from "../testing/self-signed.ts";
import { StorageDouble } from "../testing/storage-double.ts";
import { putFiles, unique } from "./artifact.ts";
import { contentsOf } from "./contents.ts";
import { Door, sha256, type Told } from "./door.ts";
import { openPlugin, type Plugin } from "./plugin.ts";
import { nothingLeft } from "./remains.ts";
import { podVolume, pullSecret } from "./volume.ts";

const HOUR_MS = 3_600_000;
const [USER, PASSWORD] = ["ann", "s3cret-word"];

let open: AsyncDisposableStack;
beforeEach(() => {
  open = new AsyncDisposableStack();
});
afterEach(async () => await open.disposeAsync());

async function registryWith(options: DoubleOptions = {}): Promise<RegistryDouble> {
  return open.use(await openRegistryDouble(options));
}

async function pluginWith(settings: Readonly<Record<string, unknown>> = {}): Promise<Plugin> {
  return open.use(await openPlugin({ settings }));
}

const asking = (registry: RegistryDouble, digest: string) => ({
  attributes: { reference: `${registry.host}/a/b@${digest}` },
  secrets: pullSecret(registry.host, USER, PASSWORD),
});

async function shows(plugin: Plugin, registry: RegistryDouble, digest: string): Promise<readonly string[]> {
  const volume = await podVolume(plugin, asking(registry, digest));
  await volume.publish();
  const names = Object.keys(await contentsOf(volume.target));
  await volume.unpublish();
  await nothingLeft(plugin);
  return names;
}

describe("publish over TLS", () => {
  it("of an unknown authority is refused with the remedy, which works", async () => {
    const tls = makeSelfSigned(new Date(Date.now() + 24 * HOUR_MS));
    const registry = await registryWith({ tls });
    const { digest } = putFiles(registry, { a: unique() });
    const plugin = await pluginWith({ registries: [{ match: registry.host, plainHttp: false }] });
    const door = new Door({ plugin, registry, good: await registryWith() });
    const told: Told = ["UNAVAILABLE", digest, "no known authority signed", '"ca"'];
    await door.refuses(asking(registry, digest), told);
    const trusting = await pluginWith();
    const ca = path.join(trusting.folder, "ca.pem");
    await writeFile(ca, tls.cert);
    const knowing = await pluginWith({ registries: [{ match: registry.host, plainHttp: false, ca }] });
    expect(await shows(knowing, registry, digest)).toEqual(["a"]);
  });

  it("with a certificate that has expired is refused, whoever signed it", async () => {
    const registry = await registryWith({ tls: makeSelfSigned(new Date(Date.now() - 24 * HOUR_MS)) });
    const { digest } = putFiles(registry, { a: unique() });
    const plugin = await pluginWith({ registries: [{ match: registry.host, plainHttp: false }] });
    const door = new Door({ plugin, registry, good: await registryWith() });
    const told: Told = ["UNAVAILABLE", digest, /certificate that (has expired|no known)/, /renew it|"ca"/];
    await door.refuses(asking(registry, digest), told);
  });
});

describe("publish that is redirected", () => {
  const login = { kind: "basic", username: USER, password: PASSWORD } as const;
  const authorizations = (asked: ReadonlyArray<{ readonly headers: Readonly<Record<string, unknown>> }>) =>
    asked.map(({ headers }) => headers["authorization"]);

  it("to another origin brings the bytes and never the credentials there", async () => {
    const storage = open.use(await new StorageDouble().listen());
    const registry = await registryWith({ auth: login, storage: (digest) => storage.sign(digest) });
    const content = unique(20_000);
    const { digest, blobs } = putFiles(registry, { a: content });
    storage.object(blobs[0] as never, content);
    expect(await shows(await pluginWith(), registry, digest)).toEqual(["a"]);
    expect(authorizations(registry.asked)).toContain(
      `Basic ${Buffer.from(`${USER}:${PASSWORD}`).toString("base64")}`,
    );
    expect(storage.asked.length).toBeGreaterThan(0);
    expect(new Set(authorizations(storage.asked))).toEqual(new Set([undefined]));
  });

  it("to another origin for its manifest takes no credentials along either", async () => {
    const registry = await registryWith({ auth: login });
    const elsewhere = await registryWith();
    const files = { a: unique() };
    const { digest } = putFiles(registry, files);
    putFiles(elsewhere, files);
    const to = `${elsewhere.origin}/v2/a/b/manifests/${digest}`;
    registry.spoilWhere(
      ({ path: asked, headers }) => asked.includes("/manifests/") && headers["authorization"] !== undefined,
      { kind: "redirect", to },
      1_000,
    );
    expect(await shows(await pluginWith(), registry, digest)).toEqual(["a"]);
    expect(elsewhere.asked.length).toBeGreaterThan(0);
    expect(new Set(authorizations(elsewhere.asked))).toEqual(new Set([undefined]));
  });

  it("in a circle is refused, for its manifest as for a blob, and works once it is not", async () => {
    const registry = await registryWith();
    const plugin = await pluginWith();
    const door = new Door({ plugin, registry });
    for (const what of ["manifests", "blobs"]) {
      const content = unique();
      const { digest, blobs } = putFiles(registry, { a: content });
      const name = `${what}/${what === "blobs" ? blobs[0] : digest}`;
      registry.spoil(name, { kind: "redirect", to: `/v2/a/b/${name}` }, 1_000);
      const told: Told = ["UNAVAILABLE", path.basename(name), "redirects in a circle", "administrator"];
      await door.refuses(asking(registry, digest), told, { cured: { shows: { a: sha256(content) } } });
    }
  });
});

describe("publish with a token that expires", () => {
  it("in mid-blob takes another and goes on: no byte is sent twice", async () => {
    // One connection: of several one could use a token up before another had sent what it was given for.
    const auth = { kind: "bearer", username: USER, password: PASSWORD, uses: 4 } as const;
    const registry = await registryWith({ auth });
    const plugin = await pluginWith({ pull: { rangeBytes: "1Mi", connections: 1 } });
    const { digest, blobs } = putFiles(registry, { a: unique(12 * 2 ** 20) });
    expect(await shows(plugin, registry, digest)).toEqual(["a"]);
    expect(registry.guard.granted).toBeGreaterThanOrEqual(4);
    expect(registry.bytesSent(blobs[0] as never)).toBe(12 * 2 ** 20);
  });

  it("and is given no more of is denied, and nothing is left", async () => {
    const auth = { kind: "bearer", username: USER, password: PASSWORD, uses: 4 } as const;
    const registry = await registryWith({ auth });
    const plugin = await pluginWith({ pull: { rangeBytes: "1Mi", connections: 1 } });
    const content = unique(12 * 2 ** 20);
    const { digest } = putFiles(registry, { a: content });
    registry.spoilWhere(
      ({ path: asked }) => asked === "/token" && registry.guard.granted > 0,
      { kind: "status", status: 403 },
      1_000,
    );
    // What came before it was denied is gone with it; the password is in no word of it.
    const told: Told = ["UNAUTHENTICATED", "token server", "answered 403", /^(?!.*s3cret-word)/s];
    const door = new Door({ plugin, registry });
    await door.refuses(asking(registry, digest), told, { cured: { shows: { a: sha256(content) } } });
  });
});
