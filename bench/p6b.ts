// P6b: unstaging after writes, against a plain umount of such an overlay.
import { mkdir } from "node:fs/promises";
import path from "node:path";
import { execa } from "execa";
import type { Plugin } from "../e2e/plugin.ts";
import { layersIn } from "./artifacts/layout.ts";
import { median, type Row } from "./row.ts";
import { parametersOf, startClaim } from "./sides/claim.ts";
import { freshPlugin } from "./sides/plugin.ts";
import type { Stage } from "./stage.ts";
import { say, seconds, timed } from "./voice.ts";

const COPIES = 10;

/** 100 MB in 6,500 files, none of it synced. */
async function writeMuch(layer: string, folder: string): Promise<void> {
  for (let copy = 0; copy < COPIES; copy++) {
    const at = path.join(folder, `written-${copy}`);
    await mkdir(at);
    await execa("tar", ["--zstd", "-xf", layer, "-C", at]);
  }
}

async function unstageClaim(plugin: Plugin, stage: Stage, layer: string, durability: string) {
  const claim = await startClaim(plugin, parametersOf(stage.host, "cachesmall", { durability }));
  await execa("sync");
  await writeMuch(layer, claim.target);
  await claim.unpublish();
  const ms = await timed(claim.unstage);
  await claim.remove();
  return ms;
}

async function unmountPlain(stage: Stage, layer: string): Promise<number> {
  const folder = await stage.folder();
  const [lower, upper, work, target] = ["lower", "upper", "work", "target"].map((name) =>
    path.join(folder, name),
  ) as [string, string, string, string];
  for (const directory of [lower, upper, work, target]) await mkdir(directory);
  await execa("tar", ["--zstd", "-xf", layer, "-C", lower]);
  await execa("sync");
  const options = `lowerdir=${lower},upperdir=${upper},workdir=${work}`;
  await execa("mount", ["-t", "overlay", "overlay", "-o", options, target]);
  await writeMuch(layer, target);
  const ms = await timed(() => execa("umount", [target]));
  await stage.drop(folder);
  return ms;
}

export const p6b: Row = {
  id: "P6b",
  measure: async (stage) => {
    const [layer = ""] = await layersIn((await stage.artifact("cacheSmall")).layout);
    await using plugin = await freshPlugin(stage);
    const times = { normal: [] as number[], plain: [] as number[], volatile: [] as number[] };
    for (let run = 0; run < stage.runs; run++) {
      times.normal.push(await unstageClaim(plugin, stage, layer, "normal"));
      times.plain.push(await unmountPlain(stage, layer));
      times.volatile.push(await unstageClaim(plugin, stage, layer, "volatile"));
      const told = Object.entries(times).map(([name, all]) => `${name} ${seconds(all.at(-1) ?? 0)}`);
      say(`  ${run + 1} of ${stage.runs}: ${told.join(", ")}`);
    }
    const what = "unstage after 100 MB in 6,500 files were written";
    return [
      {
        id: "P6b",
        what: `${what}, durability: normal`,
        unit: "ms",
        ours: median(times.normal),
        peer: "umount",
        theirs: median(times.plain),
        goals: [{ most: 1.1, of: "ratio" }],
      },
      {
        id: "P6b",
        what: `${what}, durability: volatile`,
        unit: "ms",
        ours: median(times.volatile),
        peer: "umount",
        theirs: median(times.plain),
        goals: [{ most: 200, of: "ours" }],
      },
    ];
  },
};
