import { execFileSync } from "node:child_process";
import fs from "node:fs";
import net from "node:net";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { PackCompression } from "./compressing.ts";
import { packMerged } from "./pack-merged.ts";
import { settleLayer } from "./settle.ts";
import { Claim, shownBy } from "./testing/claim.ts";
import { Scratch } from "./testing/scratch.ts";

let scratch: Scratch;
beforeEach(() => {
  scratch = new Scratch();
});
afterEach(() => scratch[Symbol.dispose]());

const GENERATIONS = [
  `mkdir -p d/e gone; echo 1 > d/one; echo 2 > d/e/two; ln d/one l; echo x > gone/x; echo f > kind; chmod 2775 d; truncate -s 9M s`,
  `rm -r gone; echo more >> d/one; rm kind; mkdir kind; echo k > kind/k; ln -s d/e way; chmod 700 .; mkfifo p`,
  `rm -r d/e; mkdir d/e; echo new > d/e/n; mv kind/k kind/j; rm way; echo w > way; ln way way2`,
];

/** Topmost first. */
function generations(): string[] {
  let layers: string[] = [];
  for (const script of GENERATIONS) {
    const claim = new Claim(scratch, layers).run(script);
    layers = [claim.upper, ...layers];
  }
  return layers;
}

async function pack(
  layers: readonly string[],
  compression: PackCompression = "zstd",
  layerMax = 5 * 2 ** 30,
) {
  return await packMerged({ layers, compression, layerMax, directory: scratch.directory() });
}

describe("packMerged()", () => {
  it.each(["zstd", "gzip"] as const)(
    "packs what the layers show, with %s, and nothing of how",
    async (compression) => {
      const layers = generations();
      const packed = await pack(layers, compression);
      const [part] = packed.parts;
      const blob = fs.readFileSync(part?.path ?? "");
      const made = await scratch.unpack(blob, { compression, ...(part && { diffId: part.diffId }) });
      await settleLayer(made.at, [], made.unsettled);
      expect(shownBy(scratch, [made.at], "exact")).toEqual(shownBy(scratch, layers, "exact"));
      expect(blob.length).toBe(part?.size);
      expect(made.unsettled.whiteouts).toEqual([]);
      expect((await pack([made.at], compression)).parts[0]?.digest).toBe(part?.digest);
    },
  );

  it("has links in the root alone where that is asked for, and the same files", async () => {
    const claim = new Claim(scratch, []).run("mkdir d; echo one > d/a; ln d/a d/b; ln d/a z; ln -s a d/s");
    const job = { layers: [claim.upper], compression: "gzip", layerMax: 2 ** 30, linksInRoot: true } as const;
    const { parts, bytes } = await packMerged({ ...job, directory: scratch.directory() });
    const blob = parts[0]?.path ?? "";
    const listed = execFileSync("tar", ["-tvf", blob], { encoding: "utf8" });
    expect(listed.split("\n").filter((line) => line.includes("link to"))).toEqual([
      expect.stringMatching(/^h.* z link to d\/a$/),
    ]);
    const { at } = await scratch.unpack(fs.readFileSync(blob), { compression: "gzip" });
    for (const name of ["d/a", "d/b", "d/s", "z"])
      expect(fs.readFileSync(path.join(at, name), "utf8")).toBe("one\n");
    expect(bytes).toBe(8);
  });

  it("is unpacked by GNU tar to the same", async () => {
    const layers = generations();
    const { parts } = await pack(layers, "gzip");
    const at = scratch.directory();
    execFileSync("tar", ["-xzpf", parts[0]?.path ?? "", "--xattrs", "--numeric-owner", "-C", at]);
    const { "": _root, ...shown } = shownBy(scratch, layers, "content");
    const { "": _other, ...made } = shownBy(scratch, [at], "content");
    expect(made).toEqual(shown);
    expect(fs.statSync(path.join(at, "s")).blocks).toBeLessThan(100);
  });

  it("packs an empty tree as its root alone", async () => {
    const { parts, entries } = await pack([scratch.directory()]);
    expect([parts.length, entries]).toEqual([1, 1]);
  });

  it("leaves out sockets, device nodes and names that are marks, and says which", async () => {
    const at = scratch.directory();
    execFileSync("mknod", [path.join(at, "null"), "c", "1", "3"]);
    fs.writeFileSync(path.join(at, ".wh.x"), "");
    const server = net.createServer().listen(path.join(at, "socket"));
    await new Promise((resolve) => server.once("listening", resolve));
    const { entries, leftOut } = await pack([at]).finally(() => server.close());
    expect(entries).toBe(1);
    expect(leftOut).toEqual({
      count: 2,
      first: ['"null": it is a device node', '"socket": it is a socket'],
    });
  });

  it("splits what is larger than a layer may be, and each part says where its entries are", async () => {
    const at = scratch.directory();
    for (const name of ["d/a", "d/b", "d/c/d", "z"]) {
      fs.mkdirSync(path.dirname(path.join(at, name)), { recursive: true });
      fs.writeFileSync(path.join(at, name), Buffer.alloc(300_000, name));
    }
    fs.chmodSync(path.join(at, "d"), 0o2711);
    const { parts } = await pack([at], "zstd", 700_000);
    expect(parts.map(({ diffSize }) => diffSize > 600_000)).toEqual([true, true]);
    const layers: string[] = [];
    for (const { path: blob, diffId } of parts) {
      const made = await scratch.unpack(fs.readFileSync(blob), { compression: "zstd", diffId });
      await settleLayer(made.at, layers, made.unsettled);
      layers.unshift(made.at);
    }
    expect(shownBy(scratch, layers, "exact")).toEqual(shownBy(scratch, [at], "exact"));
    expect(fs.statSync(path.join(layers[0] ?? "", "d")).mode & 0o7777).toBe(0o2711);
  });

  it("gives a file larger than a layer may be one of its own", async () => {
    const at = scratch.directory();
    for (const name of ["a", "b", "c"]) fs.writeFileSync(path.join(at, name), Buffer.alloc(200_000, name));
    expect((await pack([at], "zstd", 10_000)).parts.length).toBe(3);
  });
});
