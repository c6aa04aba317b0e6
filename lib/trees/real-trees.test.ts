// The store over the real reader, unpacker and registry, holding what the plain ORAS CLI pushed.
import { execFileSync } from "node:child_process";
import { chmodSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { gzipSync } from "node:zlib";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { orasCli } from "../../testing/oras-cli.ts";
import { openRealRegistry, type RealRegistry, registryUser } from "../../testing/real-registry.ts";
import { openUnpacker } from "../archive/open-unpacker.ts";
import { digestOf } from "../core/digest.ts";
import { isFailure } from "../core/failure.ts";
import { parseReference } from "../core/reference.ts";
import { LinuxFiles } from "../host/files.linux.ts";
import { openMemoryLog } from "../host/log.fake.ts";
import { MemoryMetrics } from "../host/metrics.fake.ts";
import { openRemover } from "../host/remover.ts";
import { Rig } from "../registry/testing/rig.ts";
import { openTrees } from "./open-trees.ts";
import type { TreeRequest } from "./tree-request.ts";
import type { Trees } from "./trees.ts";

const never = { signal: new AbortController().signal };
let folder: string;
let registry: RealRegistry;
let locked: RealRegistry;
let root: string;
let trees: Trees;
let open: AsyncDisposableStack;

const oras = (...args: string[]) => orasCli(folder, args);

/** Packs the folder `name` with GNU tar and returns the archive's path. */
function pack(name: string): string {
  execFileSync("tar", [
    "-C",
    path.join(folder, name),
    "--numeric-owner",
    "-cf",
    path.join(folder, `${name}.tar`),
    ".",
  ]);
  return `${name}.tar`;
}

async function pushImage(reference: string, archives: readonly string[]): Promise<void> {
  const diffIds = archives.map((archive) => digestOf(readFileSync(path.join(folder, archive))));
  const config = { os: "linux", architecture: "amd64", rootfs: { type: "layers", diff_ids: diffIds } };
  writeFileSync(path.join(folder, "config.json"), JSON.stringify(config));
  const layers = archives.map((archive) => {
    writeFileSync(path.join(folder, `${archive}.gz`), gzipSync(readFileSync(path.join(folder, archive))));
    return `${archive}.gz:application/vnd.oci.image.layer.v1.tar+gzip`;
  });
  const type = "config.json:application/vnd.oci.image.config.v1+json";
  await oras("push", "--plain-http", reference, "--config", type, ...layers);
}

beforeAll(async () => {
  folder = await mkdtemp(path.join(os.tmpdir(), "larder-real-"));
  [registry, locked] = await Promise.all([openRealRegistry(), openRealRegistry({ password: true })]);
  mkdirSync(path.join(folder, "dir/deep"), { recursive: true });
  writeFileSync(path.join(folder, "dir/deep/run.sh"), "#!/bin/sh\necho ran\n");
  chmodSync(path.join(folder, "dir/deep/run.sh"), 0o755);
  writeFileSync(path.join(folder, "model.bin"), Buffer.alloc(20_000_000, "model"));
  writeFileSync(path.join(folder, "empty"), "");
  await oras("push", "--plain-http", `${registry.host}/a/mixed:v1`, "model.bin", "empty", "dir");
  for (const [name, files] of [
    ["one", { "etc/conf": "1", gone: "1", shared: "1" }],
    ["two", { "etc/.wh.conf": "", ".wh.gone": "", two: "2" }],
    ["three", { "etc/conf": "3" }],
  ] as const) {
    for (const [file, content] of Object.entries(files)) {
      mkdirSync(path.dirname(path.join(folder, name, file)), { recursive: true });
      writeFileSync(path.join(folder, name, file), content);
    }
  }
  chmodSync(path.join(folder, "one/etc"), 0o1777);
  const archives = ["one", "two", "three"].map(pack);
  await pushImage(`${registry.host}/a/image:v1`, archives);
  await pushImage(`${registry.host}/a/other:v1`, [archives[2] ?? "", archives[1] ?? "", archives[0] ?? ""]);
  const login = ["--plain-http", "--username", registryUser.username, "--password-stdin"];
  await orasCli(folder, ["push", ...login, `${locked.host}/private:v1`, "model.bin"], {
    input: registryUser.password,
  });
});

afterAll(async () => {
  await registry[Symbol.asyncDispose]();
  await locked[Symbol.asyncDispose]();
  await rm(folder, { recursive: true });
});

beforeEach(async () => {
  open = new AsyncDisposableStack();
  root = await mkdtemp(path.join(os.tmpdir(), "larder-root-"));
  trees = await start();
});

afterEach(async () => {
  await open.disposeAsync();
  await rm(root, { recursive: true });
});

async function start(): Promise<Trees> {
  const { reader } = open.use(new Rig());
  const unpacker = open.use(openUnpacker({ threads: 2 }));
  const files = new LinuxFiles({ run: () => Promise.resolve() });
  const { removeTree } = open.use(openRemover());
  const deps = {
    reader,
    unpacker,
    files,
    removeTree,
    log: openMemoryLog().log,
    metrics: new MemoryMetrics(),
  };
  const promised = () => Promise.resolve({ unusedBytes: 0, heldBytes: 0 });
  const marks = { high: { kind: "percent", percent: 100 }, low: { kind: "percent", percent: 90 } } as const;
  return open.use(
    await openTrees({ ...deps, promised, now: Date.now, salt: Buffer.from("salt") }, root, {
      marks,
      concurrency: 4,
      proofTtlMs: 60_000,
      staleTags: true,
      keepSetuid: false,
    }),
  );
}

function requestFor(text: string, more: Partial<TreeRequest> = {}): TreeRequest {
  const reference = parseReference(text);
  const { host, repository } = reference;
  const platform = { os: "linux", architecture: "amd64" };
  return { accesses: [{ host, repository }], reference, platform, layout: "overlay", ...more };
}

const inside = (directory: string | undefined) =>
  readdirSync(directory ?? "", { recursive: true, encoding: "utf8" }).sort();

describe("lease() of what ORAS pushed", () => {
  it("brings files and a directory, their modes kept", async () => {
    using leased = await trees.lease(requestFor(`${registry.host}/a/mixed:v1`), never);
    const all = leased.layers.flatMap((layer) => inside(layer));
    expect(new Set(all)).toEqual(new Set(["model.bin", "empty", "dir", "dir/deep", "dir/deep/run.sh"]));
    const script = leased.layers
      .map((layer) => path.join(layer, "dir/deep/run.sh"))
      .find((at) => statSync(at, { throwIfNoEntry: false }));
    expect(execFileSync(script ?? "", { encoding: "utf8" })).toBe("ran\n");
    for (const directory of ["ingest", "partials"])
      expect(readdirSync(path.join(root, directory))).toEqual([]);
  });

  it("settles an image, assembles it under layout copy, and finds both after a restart", async () => {
    const request = requestFor(`${registry.host}/a/image:v1`);
    using stacked = await trees.lease(request, never);
    expect(stacked.layers).toHaveLength(3);
    expect(statSync(path.join(stacked.layers[1] ?? "", "gone")).isCharacterDevice()).toBe(true);
    using merged = await trees.lease({ ...request, layout: "copy" }, never);
    expect(merged.layers).toHaveLength(1);
    expect(inside(merged.layers[0])).toEqual(["etc", "etc/conf", "shared", "two"]);
    expect(readFileSync(path.join(merged.layers[0] ?? "", "etc/conf"), "utf8")).toBe("3");
    const again = await start();
    for (const layout of ["overlay", "copy"] as const) {
      using found = await again.lease({ ...request, layout }, never);
      expect(found.hit).toBe(true);
    }
  });

  it("stores once the layers that two images stack in another order, and settles each anew", async () => {
    using first = await trees.lease(requestFor(`${registry.host}/a/image:v1`, { layout: "copy" }), never);
    const used = trees.figures().usedBytes;
    using second = await trees.lease(requestFor(`${registry.host}/a/other:v1`, { layout: "copy" }), never);
    // What only hid things beneath hides nothing at the bottom, and the top shows again.
    expect(inside(second.layers[0])).toEqual(["etc", "etc/conf", "gone", "shared", "two"]);
    expect(readFileSync(path.join(second.layers[0] ?? "", "etc/conf"), "utf8")).toBe("1");
    const inodes = [first, second].map(({ layers }) => statSync(path.join(layers[0] ?? "", "shared")).ino);
    expect(inodes[1]).toBe(inodes[0]);
    expect(trees.figures().usedBytes - used).toBeLessThan(64 * 1024);
  });

  it("gives what is private to whom the registry lets in, and to nobody else", async () => {
    const { username, password } = registryUser;
    const request = requestFor(`${locked.host}/private:v1`);
    const [access] = request.accesses;
    if (access === undefined) throw new Error("no access");
    const right = { ...access, credentials: { kind: "basic", username, password } as const };
    const wrong = {
      ...right,
      credentials: { ...right.credentials, password: "wrong" },
      origin: 'pull secret "p"',
    };
    using leased = await trees.lease({ ...request, accesses: [wrong, right] }, never);
    expect(inside(leased.layers[0])).toEqual(["model.bin"]);
    for (const accesses of [[wrong], [access]]) {
      const refused = trees.lease({ ...request, accesses }, never);
      await expect(refused).rejects.toSatisfy((error) => isFailure(error, "denied"));
    }
  });
});
