// What a claim is told and given while its base is pulled, where that is hostile, and where nothing of it was changed.
import { readFile, rm, stat, writeFile } from "node:fs/promises";
import path from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { openRegistryDouble, type RegistryDouble } from "../testing/registry-double.ts";
import { entry, file, hardlink, pax, symlink, tar } from "../testing/tar-bytes.ts";
import { putFiles, putImage, unique } from "./artifact.ts";
import { ClaimCalls, insisting, openClaimPlugin } from "./claim-calls.ts";
import { contentsOf } from "./contents.ts";
import { digestsIn } from "./node-state.ts";
import type { Plugin } from "./plugin.ts";
import { kept, nothingLeft, type Refusal, refusalOf } from "./remains.ts";

const MIB = 2 ** 20;

let registry: RegistryDouble;
let plugin: Plugin;
beforeAll(async () => {
  registry = await openRegistryDouble();
  plugin = await openClaimPlugin({ settings: { pull: { rangeBytes: "1Mi" } } });
});
afterAll(async () => {
  await plugin[Symbol.asyncDispose]();
  await registry[Symbol.asyncDispose]();
});
let names = 0;
afterEach(async () => {
  registry.mend();
  for (const folder of ["claims", "volumes"]) expect(await kept(plugin, folder), folder).toEqual([]);
  await nothingLeft(plugin);
});

/** A claim of its own that starts from the key. */
function ofKey(key: string, more: Readonly<Record<string, string>> = {}): ClaimCalls {
  const repository = `${registry.host}/caches/\${cache}`;
  const parameters = { repository, cache: "m2", key, when: "always", ...more };
  return new ClaimCalls({ plugin }, { name: `claim-${++names}`, parameters });
}

/** How a stage is answered that cannot end by itself, before its caller's time is over, however busy the machine is. */
async function stageInTime(claim: ClaimCalls): Promise<Refusal> {
  for (let deadlineMs = 1_500; ; deadlineMs *= 2) {
    const refusal = await refusalOf(claim.stage({ deadlineMs }));
    const isLate = refusal.code === "DEADLINE_EXCEEDED" || refusal.message.includes("another call for it");
    if (!isLate || deadlineMs > 60_000) return refusal;
  }
}

describe("a claim whose base is pulled", { timeout: 20_000 }, () => {
  it("is told by NodeStageVolume how far that is, before its deadline; the next call joins, and each byte comes once", async () => {
    const { digest, blobs } = putFiles(registry, { a: unique(4 * MIB) }, { tags: ["slow"] });
    const [blob = ""] = blobs;
    const startOf = (range: unknown) => Number(/^bytes=(\d+)/.exec(String(range))?.[1] ?? 0);
    const { release } = registry.hold(
      (asked) => asked.path.includes(blob) && startOf(asked.headers["range"]) >= 2 * MIB,
    );
    const claim = ofKey("slow", { policy: "pull" });
    try {
      await claim.create();
      let told = await stageInTime(claim);
      // Each call joins, so that the first half arrives on the busiest machine.
      while (!told.message.includes("50 %")) {
        expect(told.code).toBe("ABORTED");
        told = await stageInTime(claim);
      }
      expect(told.code).toBe("ABORTED");
      expect(told.message).toContain(registry.host);
      expect(told.message).toMatch(/: 50 % \(2 MiB of 4 MiB\) at [\d.]+ [kMG]iB\/s from 127\.0\.0\.1:\d+/);
      const joined = insisting((options) => claim.stage(options));
      release();
      await joined;
    } finally {
      release();
    }
    expect(registry.bytesSent(blob as never)).toBe(4 * MIB);
    expect(registry.count(`/manifests/${digest}`)).toBeLessThanOrEqual(1);
    const at = await claim.publish({ pod: "user" });
    expect(Object.keys(await contentsOf(at))).toEqual(["a"]);
    await claim.unmountAtLast("user");
    await claim.deleteAtLast();
    expect(plugin.log.filter((line) => line.includes('"level":"error"'))).toEqual([]);
  });
});

/** Whether it started from less than its key's head, as its Record says. */
async function isTainted(claim: ClaimCalls): Promise<boolean> {
  const record = await readFile(path.join(plugin.root, "claims", claim.id), "utf8");
  return (JSON.parse(record) as { base: { isTainted: boolean } }).base.isTainted;
}

/** A claim of the key that writes one file, and is written back: what it found, whether that was all of the head, and what was said. */
async function useKey(key: string) {
  const claim = ofKey(key, { "base-deadline": "0s" });
  const at = await claim.mountAtLast("user");
  const found = await contentsOf(at);
  const whole = !(await isTainted(claim));
  await writeFile(path.join(at, "own"), "own");
  await claim.unmountAtLast("user");
  await claim.deleteAtLast();
  const warned = plugin.log.filter((line) => line.includes(claim.id) && line.includes('"level":"warn"'));
  return { found, whole, warned: warned.join("\n") };
}

const outside = "/tmp/larder-e2e-claim-was-here";
const up = "../".repeat(30);
const hostileArchives: ReadonlyArray<readonly [what: string, archive: Buffer, why: string]> = [
  ["..", tar(file(`d/${up}tmp/larder-e2e-claim-was-here`, "x")), '".." in its name'],
  [
    "a symlink to go through",
    tar(symlink("d/out", "/tmp"), file("d/out/larder-e2e-claim-was-here", "x")),
    "which is a symlink",
  ],
  ["a hardlink that leads out", tar(hardlink("d/passwd", `${up}etc/passwd`)), '".."'],
  [
    "a hardlink through a symlink",
    tar(symlink("d/etc", "/etc"), hardlink("d/p", "d/etc/passwd")),
    "through a symlink",
  ],
  ["a size beyond everything", tar(entry({ name: "d/x", size: 2n ** 60n })), ""],
  ["a wrong checksum", tar(entry({ name: "d/x", data: "x", checksum: 1 })), ""],
  ["a name with NUL", tar(pax([["path", "d/a\0b"]]), file("d/x", "x")), ""],
];

describe("a claim on a cache whose head is a hostile archive", { timeout: 180_000 }, () => {
  it.each(hostileArchives)(
    "with %s starts empty, says why, writes nothing anywhere else and never moves the key; the next good head is used",
    async (_, archive, why) => {
      await rm(outside, { force: true });
      const key = `hostile-${++names}`;
      const { digest, blobs } = putImage(registry, [archive], { tags: [key] });
      // One that must have its base tells its pod's owner.
      const strict = ofKey(key, { "fail-on-miss": "true", policy: "pull" });
      await strict.create();
      const { code, message } = await refusalOf(insisting((options) => strict.stage(options)));
      expect(["INVALID_ARGUMENT", "DATA_LOSS"]).toContain(code);
      for (const said of [blobs[0], why]) expect(message).toContain(said);
      await strict.deleteAtLast();

      const { found, whole, warned } = await useKey(key);
      expect([found, whole]).toEqual([{}, false]);
      expect(warned).toContain("The claim starts empty: ");
      expect(warned).toContain(blobs[0]);
      expect(registry.pushes.digestOf(key)).toBe(digest);
      // What it wrote itself is a version of its own.
      expect(registry.pushes.tags().filter((tag) => tag.startsWith(`${key}.`))).toHaveLength(1);
      await expect(stat(outside)).rejects.toThrow("ENOENT");

      putImage(registry, [tar(file("good", key))], { tags: [key] });
      const next = await useKey(key);
      expect([Object.keys(next.found), next.whole]).toEqual([["good"], true]);
      expect(registry.pushes.digestOf(key)).not.toBe(digest);
    },
  );

  it("starts from what the node last had of the key where that was good, and never moves the key", async () => {
    const key = `known-${++names}`;
    putImage(registry, [tar(file("good", "good"))], { tags: [key] });
    await useKey(key);
    const broken = tar(entry({ name: "d/x", data: "x", checksum: 1 }));
    const { digest } = putImage(registry, [broken], { tags: [key] });
    const { found, whole, warned } = await useKey(key);
    expect([Object.keys(found).sort(), whole]).toEqual([["good", "own"], false]);
    expect(warned).toContain("starts from what this node last had of the key");
    expect(registry.pushes.digestOf(key)).toBe(digest);
  });
});

describe("a claim in which nothing changed", { timeout: 20_000 }, () => {
  it("is deleted without a push, whatever its pods wrote again, and the log says why", async () => {
    const first = ofKey("same");
    await first.runPod((at) => writeFile(path.join(at, "file"), "as it was"));
    await first.deleteAtLast();
    const [tags, asked] = [registry.pushes.tags(), registry.asked.length];
    const claim = ofKey("same");
    await claim.runPod(async (at) => {
      await rm(path.join(at, "file"));
      await writeFile(path.join(at, "file"), "as it was");
      await writeFile(path.join(at, "passing"), "gone soon");
      await rm(path.join(at, "passing"));
      expect(Object.keys(await digestsIn(at))).toEqual(["file"]);
    });
    await claim.deleteAtLast();
    const wrote = registry.asked.slice(asked).filter(({ method }) => !["GET", "HEAD"].includes(method));
    expect([wrote, registry.pushes.tags()]).toEqual([[], tags]);
    const lines = plugin.log.filter((line) => line.includes("not written back") && line.includes(claim.id));
    expect(lines).toHaveLength(1);
    expect(lines[0]).toContain("nothing changed in it");
  });
});
