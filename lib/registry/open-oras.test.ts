import { mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from "node:fs/promises";
import http from "node:http";
import type net from "node:net";
import os from "node:os";
import path from "node:path";
import { getCACertificates } from "node:tls";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { openRealRegistry, type RealRegistry, registryUser } from "../../testing/real-registry.ts";
import { tool } from "../../testing/tool.ts";
import type { Access, Credentials } from "../core/access.ts";
import { type Digest, digestOf } from "../core/digest.ts";
import { isFailure } from "../core/failure.ts";
import { fakeProcesses } from "../host/processes.fake.ts";
import { openProcesses } from "../host/processes.linux.ts";
import { Slots } from "./limits.ts";
import { openOras } from "./open-oras.ts";
import type { Oras } from "./oras.ts";
import type { Target } from "./oras-target.ts";
import { makeCertificate } from "./testing/certificate.ts";

const IMAGE = "application/vnd.oci.image.manifest.v1+json";

let registry: RealRegistry;
let locked: RealRegistry;
let program: string;
let folder: string;
let oras: Oras;

beforeAll(async () => {
  program = await tool("oras");
  [registry, locked] = await Promise.all([openRealRegistry(), openRealRegistry({ password: true })]);
});
afterAll(async () => {
  await registry[Symbol.asyncDispose]();
  await locked[Symbol.asyncDispose]();
});
beforeEach(async () => {
  folder = await mkdtemp(path.join(os.tmpdir(), "larder-oras-"));
  oras = openOras({ processes: openProcesses(), program, attempts: path.join(folder, "attempts") });
});
afterEach(async () => {
  expect(await readdir(path.join(folder, "attempts")).catch(() => [])).toEqual([]);
  await rm(folder, { recursive: true });
});

describe("openOras() with slots", () => {
  it("runs so many at once, and gives a slot back however a command ends", async () => {
    const [running, most] = [new Set<string>(), 2];
    let seen = 0;
    const processes = fakeProcesses({
      oras: async ({ args }) => {
        running.add(String(args));
        seen = Math.max(seen, running.size);
        await new Promise((resolve) => setImmediate(resolve));
        running.delete(String(args));
        return String(args).includes("bad") ? 1 : 0;
      },
    });
    const slots = new Slots(most);
    const limited = openOras({ processes, program: "oras", attempts: path.join(folder, "attempts"), slots });
    const names = Array.from({ length: 9 }, (_, at) => (at % 3 === 0 ? `bad${at}` : `good${at}`));
    const ends = await Promise.allSettled(names.map((name) => limited.tag(fresh(), name, ["v1"])));
    expect(ends.filter(({ status }) => status === "rejected")).toHaveLength(3);
    expect(seen).toBe(most);
    await limited.tag(fresh(), "good", ["v1"]);
  });
});

let repositories = 0;
function fresh(host = registry.host, credentials?: Credentials): Access {
  repositories += 1;
  return {
    host,
    repository: `test/r${repositories}`,
    plainHttp: true,
    ...(credentials === undefined ? {} : { credentials, origin: 'pull secret "acme-pull"' }),
  };
}
const basic = { kind: "basic", ...registryUser } as const;

async function pushOne(target: Target, text = "one"): Promise<void> {
  await writeFile(path.join(folder, "one.txt"), text);
  await oras.push(target, { directory: folder, files: [{ path: "one.txt" }], tags: ["v1"] });
}

/** Pushes a signature of what is called so. */
async function attach(target: Target, name: string): Promise<Digest> {
  const { digest, size, mediaType } = (await oras.fetchManifest(target, name)).descriptor;
  await oras.pushBlob(target, { digest: digestOf("{}"), size: 2 }, Buffer.from("{}"));
  const config = { mediaType: "application/vnd.oci.empty.v1+json", digest: digestOf("{}"), size: 2 };
  const subject = { mediaType, digest, size };
  const artifact = { artifactType: "application/sig", config, layers: [], subject };
  const bytes = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: IMAGE, ...artifact }));
  await oras.pushManifest(target, { bytes, mediaType: IMAGE, name: digestOf(bytes) });
  return digestOf(bytes);
}

async function collect(target: Target, digest: ReturnType<typeof digestOf>): Promise<string> {
  const chunks: Uint8Array[] = [];
  await oras.fetchBlob(target, digest, (chunk) => void chunks.push(chunk));
  return Buffer.concat(chunks).toString();
}

describe("Oras", () => {
  it("push() and pull() carry files, directories, media types, annotations and odd names", async () => {
    const source = path.join(folder, "source");
    await mkdir(path.join(source, "dir/sub"), { recursive: true });
    await writeFile(path.join(source, "a:b.txt"), "colon");
    await writeFile(path.join(source, "-dash"), "dash");
    await writeFile(path.join(source, "dir/sub/deep"), "deep");
    await symlink("deep", path.join(source, "dir/sub/link"));
    await writeFile(path.join(source, "config.json"), "{}");
    const target = fresh();
    const pushed = await oras.push(target, {
      directory: source,
      files: [{ path: "a:b.txt", mediaType: "text/plain" }, { path: "./-dash" }, { path: "dir" }],
      tags: ["v1", "v2"],
      artifactType: "application/vnd.larder.test",
      config: { path: "config.json", mediaType: "application/vnd.larder.config" },
      annotations: {
        $manifest: { "org.opencontainers.image.created": "2026-01-01T00:00:00Z" },
        "a:b.txt": { k: "v" },
      },
    });
    expect(pushed).toMatchObject({ mediaType: IMAGE, artifactType: "application/vnd.larder.test" });
    expect(pushed.annotations.get("org.opencontainers.image.created")).toBe("2026-01-01T00:00:00Z");
    expect(await oras.listTags(target)).toEqual(["v1", "v2"]);
    expect(await oras.listTags(target, { last: "v1" })).toEqual(["v2"]);

    const to = path.join(folder, "to");
    const pulled = await oras.pull(target, "v2", to);
    expect(pulled.digest).toBe(pushed.digest);
    expect(
      pulled.files.map(({ descriptor }) => descriptor.annotations.get("org.opencontainers.image.title")),
    ).toEqual(expect.arrayContaining(["a:b.txt", "dir"]));
    expect(await readFile(path.join(to, "a:b.txt"), "utf8")).toBe("colon");
    expect(await readFile(path.join(to, "-dash"), "utf8")).toBe("dash");
    expect(await readFile(path.join(to, "dir/sub/link"), "utf8")).toBe("deep");
    await expect(oras.pull(target, "v2", to, { keepOldFiles: true })).rejects.toSatisfy((e) =>
      isFailure(e, "conflict"),
    );
  });

  it("push() makes an artifact without files", async () => {
    const target = fresh();
    await oras.push(target, { directory: folder, files: [], tags: ["v1"], artifactType: "application/x" });
    expect(await oras.resolve(target, "v1")).toMatch(/^sha256:/);
  });

  it("pushManifest(), fetchManifest() and deleteManifest() keep every byte, and deleting again is no failure", async () => {
    const target = fresh();
    await oras.pushBlob(target, { digest: digestOf("{}"), size: 2 }, Buffer.from("{}"));
    const config = { mediaType: "application/vnd.oci.empty.v1+json", digest: digestOf("{}"), size: 2 };
    const bytes = Buffer.from(
      `${JSON.stringify({ schemaVersion: 2, mediaType: IMAGE, config, layers: [] })} \n`,
    );
    const digest = digestOf(bytes);
    for (const name of [digest, "v1", "v1"])
      await oras.pushManifest(target, { bytes, mediaType: IMAGE, name });
    expect(await oras.resolve(target, "v1")).toBe(digest);
    const fetched = await oras.fetchManifest(target, digest);
    expect(Buffer.from(fetched.bytes).equals(bytes)).toBe(true);
    expect(fetched.descriptor).toMatchObject({ digest, size: bytes.length, mediaType: IMAGE });
    await oras.deleteManifest(target, digest);
    await oras.deleteManifest(target, digest);
    await expect(oras.fetchManifest(target, digest)).rejects.toSatisfy((e) => isFailure(e, "not-found"));
  });

  it("pushBlob() takes memory and files, fetchBlob() streams it back, deleteBlob() may be repeated", async () => {
    const target = fresh();
    const text = "x".repeat(3_000_000);
    const blob = { digest: digestOf(text), size: text.length };
    const file = path.join(folder, "a blob:with colon");
    await writeFile(file, text);
    await oras.pushBlob(target, blob, file);
    await oras.pushBlob(target, blob, Buffer.from(text));
    expect(await collect(target, blob.digest)).toBe(text);
    await oras.deleteBlob(target, blob.digest);
    await oras.deleteBlob(target, blob.digest);
    await expect(collect(target, blob.digest)).rejects.toSatisfy((e) => isFailure(e, "not-found"));
  });

  it("pushBlob() refuses bytes of another digest as corrupt, and leaves nothing", async () => {
    const target = fresh();
    const blob = { digest: digestOf("other"), size: 3 };
    await expect(oras.pushBlob(target, blob, Buffer.from("one"))).rejects.toSatisfy((e) =>
      isFailure(e, "corrupt"),
    );
    await expect(collect(target, blob.digest)).rejects.toSatisfy((e) => isFailure(e, "not-found"));
  });

  it("tag() and discover() follow what refers to what", async () => {
    const target = fresh();
    await pushOne(target);
    await oras.tag(target, "v1", ["w1", "w2"]);
    await oras.tag(target, "v1", []);
    expect(await oras.listTags(target)).toEqual(["v1", "w1", "w2"]);
    const signature = await attach(target, "w2");
    const found = await oras.discover(target, "v1");
    expect(found).toMatchObject([{ digest: signature, artifactType: "application/sig" }]);
    expect(await oras.discover(target, "v1", { artifactType: "application/other" })).toEqual([]);
  });

  it("copy() carries an artifact from a registry to a layout and to a locked registry", async () => {
    const [from, to] = [fresh(), fresh(locked.host, basic)];
    await pushOne(from);
    const layout = { layout: path.join(folder, "lay:out") };
    const digest = await oras.copy({ from, name: "v1", to: layout, tags: ["v1"] });
    expect(await oras.resolve(layout, "v1")).toBe(digest);
    expect(await oras.listTags(layout)).toEqual(["v1"]);
    expect(await oras.copy({ from: layout, name: digest, to, tags: ["v1", "v2"] })).toBe(digest);
    expect(await oras.listTags(to)).toEqual(["v1", "v2"]);
    expect(
      await oras.copy({ from: to, name: "v1", to: fresh(locked.host, basic), tags: [], recursive: true }),
    ).toBe(digest);
  });

  it("copy() carries an artifact to another registry, and what refers to it where that is asked for", async () => {
    const from = fresh();
    await pushOne(from, "travels");
    const signature = await attach(from, "v1");
    const [alone, along] = [fresh(locked.host, basic), fresh(locked.host, basic)];
    const digest = await oras.resolve(from, "v1");
    expect(await oras.copy({ from, name: "v1", to: alone, tags: ["v1"] })).toBe(digest);
    expect(await oras.copy({ from, name: "v1", to: along, tags: ["v1"], recursive: true })).toBe(digest);
    expect(await oras.discover(alone, "v1")).toEqual([]);
    expect(await oras.discover(along, "v1")).toMatchObject([{ digest: signature }]);
    for (const to of [alone, along]) {
      const directory = path.join(folder, to.repository);
      await oras.pull(to, "v1", directory);
      expect(await readFile(path.join(directory, "one.txt"), "utf8")).toBe("travels");
    }
  });

  it("does to an OCI layout all that it does to a registry", async () => {
    const target = { layout: path.join(folder, "a layout") };
    await pushOne(target, "at home");
    await oras.tag(target, "v1", ["v2"]);
    expect(await oras.listTags(target)).toEqual(["v1", "v2"]);
    const digest = await oras.resolve(target, "v2");
    const fetched = await oras.fetchManifest(target, digest);
    expect(digestOf(fetched.bytes)).toBe(digest);
    const signature = await attach(target, "v1");
    expect(await oras.discover(target, "v1")).toMatchObject([{ digest: signature }]);
    const blob = { digest: digestOf("a blob"), size: 6 };
    await oras.pushBlob(target, blob, Buffer.from("a blob"));
    expect(await collect(target, blob.digest)).toBe("a blob");
    const other = { layout: path.join(folder, "other") };
    expect(await oras.copy({ from: target, name: "v2", to: other, tags: ["w"] })).toBe(digest);
    await oras.pull(other, "w", path.join(folder, "pulled"));
    expect(await readFile(path.join(folder, "pulled/one.txt"), "utf8")).toBe("at home");
    await oras.deleteBlob(target, blob.digest);
    await oras.deleteManifest(target, signature);
    expect(await oras.discover(target, "v1")).toEqual([]);
    await oras.deleteManifest(target, digest);
    await oras.deleteManifest(target, digest);
    await expect(oras.resolve(target, digest)).rejects.toSatisfy((e) => isFailure(e, "not-found"));
  });

  it("resolve() and pull() pick the platform out of an index, and say where it has none", async () => {
    const target = fresh();
    const platforms = ["amd64", "arm64"].map((architecture) => ({ os: "linux", architecture }));
    const manifests = [];
    for (const platform of platforms) {
      const text = JSON.stringify({ ...platform, rootfs: { type: "layers", diff_ids: [] } });
      await writeFile(path.join(folder, "config.json"), text);
      await writeFile(path.join(folder, "which"), platform.architecture);
      const config = { path: "config.json", mediaType: "application/vnd.oci.image.config.v1+json" };
      const artifact = {
        directory: folder,
        files: [{ path: "which" }],
        tags: [platform.architecture],
        config,
      };
      const { mediaType, digest, size } = await oras.push(target, artifact);
      manifests.push({ mediaType, digest, size, platform });
    }
    const mediaType = "application/vnd.oci.image.index.v1+json";
    const bytes = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType, manifests }));
    await oras.pushManifest(target, { bytes, mediaType, name: "both" });
    expect(await oras.resolve(target, "both")).toBe(digestOf(bytes));
    for (const [at, { architecture }] of platforms.entries()) {
      const platform = `linux/${architecture}`;
      expect(await oras.resolve(target, "both", { platform })).toBe(manifests[at]?.digest);
      await oras.pull(target, "both", path.join(folder, architecture), { platform });
      expect(await readFile(path.join(folder, architecture, "which"), "utf8")).toBe(architecture);
    }
    await expect(oras.resolve(target, "both", { platform: "linux/s390x" })).rejects.toSatisfy(
      (e) => isFailure(e, "not-found") && e.message.includes("platform"),
    );
  });

  it("every command says not-found of what is not there, and whose name to check; deleting it is no failure", async () => {
    const digest = digestOf("nowhere");
    for (const target of [fresh(), { layout: path.join(folder, "nowhere") }]) {
      const tries = {
        resolve: () => oras.resolve(target, "v1"),
        listTags: () => oras.listTags(target),
        fetchManifest: () => oras.fetchManifest(target, digest),
        fetchBlob: () => oras.fetchBlob(target, digest, () => {}),
        tag: () => oras.tag(target, "v1", ["v2"]),
        discover: () => oras.discover(target, "v1"),
        pull: () => oras.pull(target, "v1", path.join(folder, "to")),
        copy: () => oras.copy({ from: target, name: "v1", to: fresh(), tags: ["v1"] }),
      };
      const place = "layout" in target ? target.layout : target.repository;
      const ends: PromiseSettledResult<unknown>[] = [];
      for (const run of Object.values(tries)) {
        // Some commands make the layout that they do not find.
        if ("layout" in target) await rm(target.layout, { recursive: true, force: true });
        ends.push(...(await Promise.allSettled([run()])));
      }
      for (const [at, command] of Object.keys(tries).entries()) {
        const reason = { reason: "not-found", message: expect.stringContaining(place) };
        expect(ends[at], command).toMatchObject({ status: "rejected", reason });
      }
    }
    await oras.deleteManifest(fresh(), digest);
    await oras.deleteBlob(fresh(), digest);
  });

  it("copy() uses the credentials of each side for that side", async () => {
    const to = fresh(locked.host, { ...basic, password: "wrong-one" });
    const from = fresh(locked.host, basic);
    await pushOne(from);
    const refused = oras.copy({ from: fresh(), name: "v1", to, tags: ["v1"] });
    await expect(refused).rejects.toSatisfy((e) => isFailure(e, "not-found"));
    await expect(oras.copy({ from, name: "v1", to, tags: ["v1"] })).rejects.toSatisfy(
      (e) => isFailure(e, "denied") && !e.message.includes("wrong-one"),
    );
  });

  it("every command is denied with wrong credentials, saying whose they were and never what they are", async () => {
    const target = fresh(locked.host, { ...basic, password: "wrong-one" });
    const digest = digestOf("x");
    const bytes = Buffer.from("{}");
    const tries = [
      oras.resolve(target, "v1"),
      oras.listTags(target),
      oras.fetchManifest(target, "v1"),
      oras.pushManifest(target, { bytes, mediaType: IMAGE, name: "v1" }),
      oras.pushBlob(target, { digest, size: 1 }, Buffer.from("x")),
      oras.fetchBlob(target, digest, () => {}),
      oras.tag(target, "v1", ["v2"]),
      oras.discover(target, "v1"),
      oras.pull(target, "v1", folder),
      oras.deleteManifest(target, digest),
      oras.deleteBlob(target, digest),
    ];
    for (const refused of await Promise.allSettled(tries)) {
      expect(refused).toMatchObject({ status: "rejected", reason: { reason: "denied" } });
      if (refused.status === "rejected") {
        expect(refused.reason.message).toContain('the pull secret "acme-pull"');
        expect(`${refused.reason.message} ${refused.reason.cause}`).not.toContain("wrong-one");
      }
    }
  });

  it("is denied without credentials, whatever this machine's docker knows", async () => {
    const home = path.join(folder, "home");
    await mkdir(path.join(home, ".docker"), { recursive: true });
    const auth = Buffer.from(`${registryUser.username}:${registryUser.password}`).toString("base64");
    await writeFile(
      path.join(home, ".docker/config.json"),
      JSON.stringify({ auths: { [locked.host]: { auth } } }),
    );
    const attempts = path.join(folder, "attempts");
    const ambient = openOras({
      processes: openProcesses(),
      program,
      attempts,
      env: { HOME: home, DOCKER_CONFIG: home },
    });
    await expect(ambient.listTags(fresh(locked.host))).rejects.toThrow(
      "wants credentials for it; name a pull secret",
    );
  });

  it("shows credentials to no other host that a registry redirects it to", async () => {
    const seen: string[] = [];
    const thief = http.createServer((request, response) => {
      seen.push(request.headers.authorization ?? "none");
      response.writeHead(401, { "www-authenticate": 'Basic realm="thief"' }).end();
    });
    await new Promise<void>((resolve) => thief.listen(0, "127.0.0.1", resolve));
    const location = `http://127.0.0.1:${(thief.address() as net.AddressInfo).port}/v2/a/blobs/x`;
    const sender = http.createServer((_request, response) => response.writeHead(307, { location }).end());
    await new Promise<void>((resolve) => sender.listen(0, "127.0.0.1", resolve));
    try {
      const target = fresh(`127.0.0.1:${(sender.address() as net.AddressInfo).port}`, basic);
      await expect(oras.fetchBlob(target, digestOf("x"), () => {})).rejects.toSatisfy((e) =>
        isFailure(e, "denied"),
      );
      expect(new Set(seen)).toEqual(new Set(["none"]));
    } finally {
      sender.close();
      thief.close();
    }
  });

  it("trusts the authorities that are set for the host, beside the system's", async () => {
    const { certFile } = makeCertificate(folder, "own");
    await using tls = await openRealRegistry({
      tls: { certificate: certFile, key: path.join(folder, "own.key") },
    });
    const target: Access = { host: tls.host, repository: "a/b" };
    await expect(oras.listTags(target)).rejects.toThrow("certificate is not trusted");
    await expect(oras.listTags({ ...target, insecure: true })).rejects.toSatisfy((e) =>
      isFailure(e, "not-found"),
    );
    const trusting = openOras({
      processes: openProcesses(),
      program,
      attempts: path.join(folder, "attempts"),
      authoritiesOf: async (host) => (host === tls.host ? readFile(certFile, "utf8") : undefined),
    });
    await expect(trusting.listTags(target)).rejects.toSatisfy((e) => isFailure(e, "not-found"));
  });

  it("ends with the reason of the signal when a registry hangs and the caller gives up", async () => {
    const controller = new AbortController();
    const silent = http.createServer(() => controller.abort(new Error("given up")));
    await new Promise<void>((resolve) => silent.listen(0, "127.0.0.1", resolve));
    try {
      const target = fresh(`127.0.0.1:${(silent.address() as net.AddressInfo).port}`);
      await expect(oras.resolve(target, "v1", { signal: controller.signal })).rejects.toThrow("given up");
    } finally {
      silent.closeAllConnections();
      silent.close();
    }
  });

  it("works many at once", async () => {
    const targets = Array.from({ length: 6 }, () => fresh());
    const blob = { digest: digestOf("x"), size: 1 };
    await Promise.all(targets.map((target) => oras.pushBlob(target, blob, Buffer.from("x"))));
    expect(await Promise.all(targets.map((target) => collect(target, blob.digest)))).toEqual(
      Array(6).fill("x"),
    );
  });

  it.each([
    ["basic", { kind: "basic", username: "u", password: "hush" }, { auth: "dTpodXNo" }],
    ["identity", { kind: "identity", token: "hush" }, { identitytoken: "hush" }],
    ["registry", { kind: "registry", token: "hush" }, { registrytoken: "hush" }],
  ] as const)(
    "hands %s credentials over by descriptor alone, under Docker Hub's own key there",
    async (_kind, credentials, auth) => {
      const processes = fakeProcesses({ oras: ({ print }) => print('{"tags":["v1"]}').then(() => 0) });
      const client = openOras({ processes, program: "oras", attempts: path.join(folder, "attempts") });
      expect(await client.listTags({ host: "docker.io", repository: "a/b", credentials })).toEqual(["v1"]);
      const [call] = processes.calls;
      const config = JSON.parse(Buffer.from(call?.descriptors?.[0] ?? []).toString()) as unknown;
      expect(config).toEqual({ auths: { "https://index.docker.io/v1/": auth } });
      expect(JSON.stringify([call?.args, call?.env, call?.stdin])).not.toMatch(/hush|dTpodXNo/);
    },
  );

  it("keeps trusting the system's authorities beside those that are set for the host", async () => {
    const processes = fakeProcesses({ oras: ({ print }) => print('{"tags":[]}').then(() => 0) });
    const attempts = path.join(folder, "attempts");
    const client = openOras({ processes, program: "oras", attempts, authoritiesOf: async () => "OWN" });
    await client.listTags({ host: "quay.io", repository: "a/b" });
    const [call] = processes.calls;
    const flag = call?.args[(call?.args.indexOf("--ca-file") ?? -1) + 1];
    const pem = Buffer.from(call?.descriptors?.[Number(flag?.split("/").at(-1)) - 3] ?? []).toString();
    expect(pem.endsWith("OWN")).toBe(true);
    expect(pem.split("BEGIN CERTIFICATE").length - 1).toBe(getCACertificates("system").length);
  });
});
