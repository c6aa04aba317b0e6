import { once } from "node:events";
import net from "node:net";
import { afterEach, describe, expect, it } from "vitest";
import { openRegistryDouble, type RegistryDouble } from "../../testing/registry-double.ts";
import { digestOf } from "../core/digest.ts";
import { parseReference } from "../core/reference.ts";
import { accessTo, Rig } from "./testing/rig.ts";

const never = new AbortController().signal;
const text = JSON.stringify({ schemaVersion: 2 });
const digest = digestOf(text);

let open = new AsyncDisposableStack();
afterEach(async () => {
  await open.disposeAsync();
  open = new AsyncDisposableStack();
});

async function double(): Promise<RegistryDouble> {
  const registry = open.use(await openRegistryDouble());
  registry.manifest(text, { tags: ["v1"] });
  return registry;
}

function rigFor(mirrors: readonly { url: string; capabilities?: readonly string[] }[], timeouts = {}) {
  return open.use(new Rig({ registries: [{ match: "*", mirrors }], timeouts }));
}

/** Takes connections and says nothing, as a process that hangs does. */
async function silentServer(): Promise<{ readonly origin: string; readonly connections: () => number }> {
  let connections = 0;
  const sockets = new Set<net.Socket>();
  const server = net.createServer((socket) => {
    connections += 1;
    sockets.add(socket);
    socket.on("error", () => {});
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  open.defer(async () => {
    for (const socket of sockets) socket.destroy();
    server.close();
    await once(server, "close");
  });
  return {
    origin: `http://127.0.0.1:${(server.address() as net.AddressInfo).port}`,
    connections: () => connections,
  };
}

describe("mirrors", () => {
  it("that send other bytes for a config are passed by", async () => {
    const [registry, mirror] = [await double(), await double()];
    const config = registry.blob("a config");
    mirror.blob("another", config.digest);
    const rig = rigFor([{ url: mirror.origin }]);
    const bytes = await rig.reader.fetchConfig(accessTo(registry.host), config.digest, never);
    expect(Buffer.from(bytes).toString()).toBe("a config");
    expect(mirror.asked.length).toBeGreaterThan(0);
  });

  it("turn tags into digests only where they may resolve", async () => {
    const [registry, puller, resolver] = [await double(), await double(), await double()];
    resolver.manifest("{}", { tags: ["v1"] });
    const rig = rigFor([
      { url: puller.origin, capabilities: ["pull"] },
      { url: resolver.origin, capabilities: ["resolve"] },
    ]);
    const access = accessTo(registry.host);
    const resolved = await rig.reader.resolve(access, parseReference(`${registry.host}/a/b:v1`), never);
    expect(resolved).toMatchObject({
      digest: digestOf("{}"),
      source: { kind: "mirror", host: resolver.host },
    });
    expect(puller.count("manifests")).toBe(0);

    const fetched = await rig.reader.fetchManifest(access, digest, never);
    expect(fetched.source).toEqual({ kind: "mirror", host: puller.host });
    expect(resolver.count(`manifests/${digest}`)).toBe(0);
    expect(registry.asked).toEqual([]);
  });

  it("are not asked for what is read by a tag that moves, with which they may be behind, nor stand in for the registry", async () => {
    const [registry, behind] = [await double(), await double()];
    behind.manifest("{}", { tags: ["v1"] });
    const rig = rigFor([{ url: behind.origin }]);
    const [access, reference] = [accessTo(registry.host), parseReference(`${registry.host}/a/b:v1`)];
    expect(await rig.reader.fetchTag(access, reference, never)).toMatchObject({ digest });
    registry.spoil("manifests", { kind: "status", status: 503 }, 1_000);
    await expect(rig.reader.fetchTag(access, reference, never)).rejects.toMatchObject({
      reason: "unavailable",
    });
    expect(behind.asked).toEqual([]);
  });

  it("that send a manifest of another digest are passed over for the registry", async () => {
    const [registry, mirror] = [await double(), await double()];
    mirror.manifest("[]", { as: digest });
    const rig = rigFor([{ url: mirror.origin }]);
    const fetched = await rig.reader.fetchManifest(accessTo(registry.host), digest, never);
    expect(fetched.source.kind).toBe("upstream");
    expect(Buffer.from(fetched.bytes).toString()).toBe(text);
    expect(rig.waits).toEqual([]);
  });

  it("that are dead cost at most a second, all of them together, once", async () => {
    const registry = await double();
    const silent = [await silentServer(), await silentServer()];
    const rig = rigFor(silent.map(({ origin }) => ({ url: origin })));
    const access = accessTo(registry.host);
    const began = performance.now();
    await rig.reader.fetchManifest(access, digest, never);
    const first = performance.now() - began;
    await rig.reader.fetchManifest(access, digest, never);
    const second = performance.now() - began - first;
    expect(first).toBeGreaterThan(900);
    // What is over a second is this machine's: one after the other, or as patiently as others, they would cost far more.
    expect(first).toBeLessThan(20_000);
    expect(second).toBeLessThan(20_000);
    expect(rig.dead.length).toBe(2);
    expect(silent[0]?.connections()).toBe(1);
  });

  it("that were dead are asked again behind everybody's back, and used once they answer", async () => {
    const registry = await double();
    const mirror = await double();
    mirror.spoilWhere(() => true, { kind: "not-http" });
    const rig = rigFor([{ url: mirror.origin }]);
    const access = accessTo(registry.host);
    const from = async () => (await rig.reader.fetchManifest(access, digest, never)).source.kind;
    expect(await from()).toBe("upstream");
    expect(await from()).toBe("upstream");
    const asked = mirror.asked.length;
    rig.now += 61_000;
    expect(await from()).toBe("upstream");
    await expect.poll(() => mirror.asked.length).toBeGreaterThan(asked);
    await expect.poll(from).toBe("mirror");
  });

  it("that stop answering in the middle are passed by from then on", async () => {
    const [registry, mirror] = [await double(), await double()];
    const rig = rigFor([{ url: mirror.origin }], { headersTimeoutMs: 1_500 });
    const access = accessTo(registry.host);
    await rig.reader.fetchManifest(access, digest, never);
    mirror.spoil("manifests", { kind: "hang" }, 99);
    await rig.reader.fetchManifest(access, digest, never);
    const count = mirror.count("manifests");
    await rig.reader.fetchManifest(access, digest, never);
    expect(mirror.count("manifests")).toBe(count);
    expect(rig.dead).toEqual([mirror.host]);
  });

  it("stand alone where a hosts.toml puts them in the registry's place, and are no proof", async () => {
    const [registry, mirror] = [await double(), await double()];
    const other = mirror.manifest("{}");
    const rig = open.use(
      new Rig({ files: { "/certs.d/_default/hosts.toml": `server = "${mirror.origin}"` } }),
    );
    const access = accessTo(registry.host);
    expect((await rig.reader.fetchManifest(access, other, never)).source.kind).toBe("mirror");
    await expect(rig.reader.prove(access, other, never)).rejects.toMatchObject({ reason: "not-found" });
  });

  it("that may not do what is asked leave nobody to ask, and that is said", async () => {
    const [registry, mirror] = [await double(), await double()];
    const toml = `server = "${mirror.origin}"\n`;
    const rig = open.use(
      new Rig({ files: { "/certs.d/_default/hosts.toml": `${toml}capabilities = ["pull"]` } }),
    );
    const resolving = rig.reader.resolve(
      accessTo(registry.host),
      parseReference(`${registry.host}/a/b:v1`),
      never,
    );
    await expect(resolving).rejects.toMatchObject({
      reason: "unavailable",
      message: expect.stringContaining('"capabilities"'),
    });
  });

  it("that ask for credentials get none of the registry's, which are for it alone", async () => {
    const [registry, mirror] = [await double(), await double()];
    const rig = rigFor([{ url: mirror.origin }]);
    const challenge = { "www-authenticate": `Basic realm="${registry.host}"` };
    const refusal = { kind: "status", status: 401, headers: challenge } as const;
    for (const each of [mirror, registry])
      each.spoilWhere(({ headers }) => headers["authorization"] === undefined, refusal, 99);
    const credentials = { kind: "basic", username: "ann", password: "s3cret-word" } as const;
    const fetch = async () =>
      await rig.reader.fetchManifest({ ...accessTo(registry.host), credentials }, digest, never);
    for (let again = 0; again < 2; again++) expect((await fetch()).source.kind).toBe("upstream");
    expect(mirror.count("manifests")).toBeGreaterThan(0);
    expect(mirror.asked.filter(({ headers }) => headers["authorization"] !== undefined)).toEqual([]);
    expect(registry.asked.some(({ headers }) => headers["authorization"] !== undefined)).toBe(true);
  });

  it("with their own headers get those, and nobody else: neither the registry nor where they redirect to", async () => {
    const [registry, mirror, storage] = [await double(), await double(), await double()];
    const files = {
      "/certs.d/_default/hosts.toml": `[host."${mirror.origin}".header]\nauthorization = "Basic m1rror"\n`,
    };
    const rig = open.use(new Rig({ files }));
    const fetch = async () => (await rig.reader.fetchManifest(accessTo(registry.host), digest, never)).source;
    mirror.spoil("manifests", { kind: "redirect", to: `${storage.origin}/v2/a/b/manifests/${digest}` });
    expect(await fetch()).toMatchObject({ kind: "mirror" });
    mirror.spoil("manifests", { kind: "status", status: 404 }, 9);
    expect(await fetch()).toMatchObject({ kind: "upstream" });
    expect(mirror.asked.every(({ headers }) => headers["authorization"] === "Basic m1rror")).toBe(true);
    for (const { asked } of [storage, registry]) {
      expect(asked.length).toBeGreaterThan(0);
      expect(asked.filter(({ headers }) => headers["authorization"] !== undefined)).toEqual([]);
    }
  });
});
