// A write-back of a million files, on a root in memory: it is the plugin that is tried here, not a disk.
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { execa } from "execa";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { openRealRegistry, type RealRegistry } from "../testing/real-registry.ts";
import { claim } from "./claim.ts";
import { openClaimPlugin } from "./claim-calls.ts";
import type { Plugin } from "./plugin.ts";
import { nothingLeft } from "./remains.ts";

const MIB = 2 ** 20;
/** In as many directories of a thousand. */
const THOUSANDS = 1_000;

let open: AsyncDisposableStack;
let registry: RealRegistry;
let plugin: Plugin;
beforeEach(async () => {
  open = new AsyncDisposableStack();
  const folder = await mkdtemp(path.join(os.tmpdir(), "larder-million-"));
  open.defer(async () => await rm(folder, { recursive: true }));
  await execa("mount", ["-t", "tmpfs", "-o", "size=8g,nr_inodes=0", "larder", folder]);
  open.defer(async () => void (await execa("umount", ["--lazy", folder])));
  const storage = path.join(folder, "registry");
  await mkdir(path.join(folder, "node"));
  registry = open.use(await openRealRegistry({ storage }));
  plugin = open.use(await openClaimPlugin({ folder: path.join(folder, "node") }));
});
afterEach(async () => await open.disposeAsync());

/** Aside: who runs tests takes one that does not answer for dead. */
async function bash(at: string, script: string): Promise<string> {
  return (await execa("bash", ["-euo", "pipefail", "-c", script], { cwd: at, stdin: "ignore" })).stdout;
}

async function fill(at: string): Promise<void> {
  const make = `for (let d = 0; d < ${THOUSANDS}; d++) {
    fs.mkdirSync("d" + d);
    for (let f = 0; f < 1000; f++) fs.closeSync(fs.openSync("d" + d + "/f" + f, "wx"));
  }`;
  await execa(process.execPath, ["-e", make], { cwd: at, stdin: "ignore" });
}

function highestMemory(pid: number): number {
  return Number(/^VmHWM:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, "latin1"))?.[1]) * 1_024;
}

/** Of the names of all files, one a line and in the order of their bytes. */
function expectedSum(): string {
  const places = Array.from({ length: THOUSANDS }, (_, place) => `d${place}/`).sort();
  const files = Array.from({ length: 1_000 }, (_, file) => `f${file}\n`).sort();
  const sum = createHash("sha256");
  for (const place of places) sum.update(files.map((file) => place + file).join(""));
  return sum.digest("hex");
}

describe("a claim in which a pod left a million files", { timeout: 1_800_000 }, () => {
  it("goes to the registry whole, in bounded memory", async () => {
    const parameters = {
      repository: `${registry.host}/caches/\${cache}`,
      cache: "many",
      key: "main",
      when: "always",
    };
    const many = await claim(plugin, { parameters, bytes: 5 * 1024 * MIB });
    await many.mount();
    await fill(many.target);
    await many.unmount();
    await many.remove();
    await nothingLeft(plugin);
    expect(highestMemory(plugin.pid)).toBeLessThan(512 * MIB);

    const manifest = await fetch(`http://${registry.host}/v2/caches/many/manifests/main`, {
      headers: { accept: "application/vnd.oci.image.manifest.v1+json" },
    });
    const { layers } = (await manifest.json()) as { readonly layers: ReadonlyArray<{ digest: string }> };
    const blobs = layers.map(({ digest }) => {
      const hex = digest.slice("sha256:".length);
      return `docker/registry/v2/blobs/sha256/${hex.slice(0, 2)}/${hex}/data`;
    });
    expect(blobs).toHaveLength(1);
    const names = `zstd -dc ${blobs[0]} | tar -t | sed -n 's#^\\./##; /[^/]$/p' | LC_ALL=C sort | sha256sum`;
    expect(await bash(registry.storage, names)).toBe(`${expectedSum()}  -`);
  });
});
