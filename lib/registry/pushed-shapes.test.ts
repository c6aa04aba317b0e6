import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { orasCli } from "../../testing/oras-cli.ts";
import { parseManifest } from "../core/manifest.ts";
import { pickPlatform } from "../core/pick-platform.ts";
import { planTree } from "../core/plan-tree.ts";
import { parsePlatform } from "../core/platform.ts";

let folder = "";
beforeAll(async () => {
  folder = await mkdtemp(path.join(os.tmpdir(), "larder-shapes-"));
  await mkdir(path.join(folder, "data/sub"), { recursive: true });
  await writeFile(path.join(folder, "data/sub/a"), "a");
  await writeFile(path.join(folder, "tool"), "#!/bin/sh\n");
  const modes = { tool: { "dev.larder.file.mode": "0755" } };
  await writeFile(path.join(folder, "annotations.json"), JSON.stringify(modes));
});
afterAll(async () => {
  await rm(folder, { recursive: true });
});

/** Pushes `args` into an OCI layout from `cwd`, and reads back what stands there. */
async function push(tag: string, args: readonly string[], cwd = folder) {
  const layout = `${path.join(folder, "layout")}:${tag}`;
  await orasCli(cwd, ["push", "--oci-layout", layout, ...args]);
  return await fetched(layout);
}
const fetched = async (layout: string) =>
  parseManifest(
    new TextEncoder().encode(await orasCli(folder, ["manifest", "fetch", "--oci-layout", layout])),
  );

async function planOf(...pushed: Parameters<typeof push>) {
  const manifest = await push(...pushed);
  if (manifest.kind !== "manifest") throw new Error("an index was pushed");
  return planTree(manifest, undefined);
}

describe("planTree() of what the ORAS CLI pushes", () => {
  it("brings files under the paths they were pushed by, with their annotated modes", async () => {
    const plan = await planOf("files", ["--annotation-file", "annotations.json", "tool", "./data/sub/a"]);
    expect(plan).toMatchObject({
      layers: [
        {
          kind: "files",
          files: [
            { path: "tool", mode: 0o755 },
            { path: "data/sub/a", mode: 0o644 },
          ],
        },
      ],
      notes: [],
    });
  });

  it("unpacks a directory under its title, and checks what ORAS says of its content", async () => {
    expect((await planOf("nested", ["data/sub/"])).layers).toMatchObject([
      { kind: "archive", root: "data/sub", compression: "gzip", diffId: expect.stringMatching(/^sha256:/) },
    ]);
  });

  it("unpacks what `oras push REPO .` wrote anywhere", async () => {
    expect((await planOf("dot", ["."], path.join(folder, "data"))).layers).toMatchObject([
      { kind: "archive", root: "" },
    ]);
  });

  it("unpacks a directory whose media type says nothing of an archive", async () => {
    expect((await planOf("typed", ["data:application/vnd.acme.data"])).layers).toMatchObject([
      { kind: "archive", root: "data", compression: "gzip" },
    ]);
  });

  it("refuses an artifact without files, naming its type", async () => {
    await expect(planOf("empty", ["--artifact-type", "acme/note"])).rejects.toThrow(
      'it holds no files (its type is "acme/note")',
    );
  });
});

describe("pickPlatform() of an index the ORAS CLI makes", () => {
  it("takes the entry for the platform, whose image config does not make its files an image", async () => {
    for (const platform of ["linux/amd64", "linux/arm64"]) {
      await push(platform.replace("/", "-"), [
        "--artifact-platform",
        platform,
        "--artifact-type",
        "acme/tool",
        "tool",
      ]);
    }
    const layout = path.join(folder, "layout");
    await orasCli(folder, [
      "manifest",
      "index",
      "create",
      "--oci-layout",
      `${layout}:both`,
      "linux-amd64",
      "linux-arm64",
    ]);
    const index = await fetched(`${layout}:both`);
    const picked = index.kind === "index" ? pickPlatform(index, parsePlatform("linux/aarch64")) : undefined;
    expect(picked?.platform).toEqual({ os: "linux", architecture: "arm64" });
    const manifest = await fetched(`${layout}@${picked?.digest}`);
    if (manifest.kind !== "manifest") throw new Error("an index within the index");
    const config = await orasCli(folder, [
      "blob",
      "fetch",
      "--output",
      "-",
      "--oci-layout",
      `${layout}@${manifest.config.digest}`,
    ]);
    expect(planTree(manifest, new TextEncoder().encode(config)).layers).toMatchObject([
      { kind: "files", files: [{ path: "tool" }] },
    ]);
  });
});
