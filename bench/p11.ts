// P11: work on a claim against the same work on a plain directory of the same file system.
import { readdirSync, writeFileSync } from "node:fs";
import { mkdir, writeFile } from "node:fs/promises";
import path from "node:path";
import { execa } from "execa";
import type { Plugin } from "../e2e/plugin.ts";
import { layersIn } from "./artifacts/layout.ts";
import { type Measured, median, type Row } from "./row.ts";
import { parametersOf, startClaim, stopClaim } from "./sides/claim.ts";
import { freshPlugin } from "./sides/plugin.ts";
import type { Stage } from "./stage.ts";
import { say, seconds, timed } from "./voice.ts";

type Layout = "overlay" | "copy";
type Work = "untar" | "read" | "rewrite";
type Times = Record<Work, number>;

const REWRITTEN_BYTES = Buffer.alloc(15_000, "rewritten ");

async function untar(layer: string, folder: string): Promise<number> {
  await execa("sync");
  // It is not the archive that is measured.
  await execa("cat", [layer], { stdout: "ignore" });
  return await timed(() => execa("tar", ["--zstd", "-xf", layer, "-C", folder]));
}

/** From the disk, as the first job of a day finds it. */
async function readAll(folder: string): Promise<number> {
  await execa("sync");
  await writeFile("/proc/sys/vm/drop_caches", "3");
  return await timed(() => execa("sh", ["-c", "tar -cf - . | cat > /dev/null"], { cwd: folder }));
}

/** Every tenth file, from its beginning. */
async function rewriteSome(folder: string): Promise<number> {
  const files = readdirSync(folder, { withFileTypes: true, recursive: true }).filter((entry) =>
    entry.isFile(),
  );
  await execa("sync");
  return await timed(async () => {
    for (let at = 0; at < files.length; at += 10) {
      const file = files[at];
      if (file !== undefined) writeFileSync(path.join(file.parentPath, file.name), REWRITTEN_BYTES);
    }
  });
}

async function workPlainly(stage: Stage, layer: string): Promise<Times> {
  const folder = await stage.folder();
  const times = {
    untar: await untar(layer, folder),
    read: await readAll(folder),
    rewrite: await rewriteSome(folder),
  };
  await stage.drop(folder);
  return times;
}

/**
 * Reads and rewrites what came from a base, and fills a folder beside it. The claim stays until the end, since the disk
 * makes no files at its own pace for minutes after as many were removed.
 */
async function workOnClaim(plugin: Plugin, stage: Stage, layer: string, layout: Layout): Promise<Times> {
  const claim = await startClaim(plugin, parametersOf(stage.host, "cache", { layout }));
  const [read, rewrite] = [await readAll(claim.target), await rewriteSome(claim.target)];
  const inside = path.join(claim.target, "inside");
  await mkdir(inside);
  const times = { untar: await untar(layer, inside), read, rewrite };
  await stopClaim(claim);
  return times;
}

export const p11: Row = {
  id: "P11",
  measure: async (stage) => {
    const [layer = ""] = await layersIn((await stage.artifact("cache")).layout);
    await using plugin = await freshPlugin(stage);
    const runs: Record<Layout | "plain", Times[]> = { plain: [], overlay: [], copy: [] };
    for (let run = 0; run < stage.runs; run++) {
      runs.plain.push(await workPlainly(stage, layer));
      for (const layout of ["overlay", "copy"] as const)
        runs[layout].push(await workOnClaim(plugin, stage, layer, layout));
      for (const [name, all] of Object.entries(runs)) say(`  ${name}: ${formatTimes(all.at(-1))}`);
    }
    const of = (name: keyof typeof runs, work: Work) => median(runs[name].map((times) => times[work]));
    const row = (layout: Layout, work: Work, what: string, most?: number): Measured => ({
      id: "P11",
      what: `${what}, layout: ${layout}`,
      unit: "s",
      ours: of(layout, work) / 1_000,
      peer: "plain directory",
      theirs: of("plain", work) / 1_000,
      goals: most === undefined ? [] : [{ most, of: "ratio" }],
    });
    return [
      row("overlay", "untar", "untar of 65,000 files, 1 GB", 1.3),
      row("copy", "untar", "untar of 65,000 files, 1 GB", 1.05),
      row("overlay", "rewrite", "rewrite of every tenth file", 1.3),
      row("copy", "rewrite", "rewrite of every tenth file", 1.05),
      row("overlay", "read", "cold read of all"),
      row("copy", "read", "cold read of all"),
    ];
  },
};

function formatTimes(times: Times | undefined): string {
  return Object.entries(times ?? {})
    .map(([work, ms]) => `${work} ${seconds(ms)}`)
    .join(", ");
}
