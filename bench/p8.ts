// P8: the memory of the plugin's process, all of its threads in it.
import { setTimeout as pause } from "node:timers/promises";
import { p2b } from "./p2b.ts";
import { p3 } from "./p3.ts";
import { memoryOf } from "./process.ts";
import type { Measured, Row } from "./row.ts";
import { median } from "./row.ts";
import { freshPlugin } from "./sides/plugin.ts";
import type { Stage } from "./stage.ts";

const MB = 1e6;
/** Long enough for what a start leaves behind to be collected. */
const IDLE_MS = 3_000;

async function idle(stage: Stage): Promise<number> {
  await using plugin = await freshPlugin(stage);
  await pause(IDLE_MS);
  return (await memoryOf(plugin.pid)).nowBytes;
}

/** From the runs of that row, which are made now if they were not before. */
async function highestIn(stage: Stage, row: Row): Promise<number> {
  if (!stage.highest.has(row.id)) await row.measure({ ...stage, runs: 1 });
  return stage.highest.get(row.id) ?? Number.NaN;
}

export const p8: Row = {
  id: "P8",
  measure: async (stage) => {
    const idles: number[] = [];
    for (let run = 0; run < stage.runs; run++) idles.push(await idle(stage));
    const row = (what: string, bytes: number, most: number): Measured => ({
      id: "P8",
      what,
      unit: "MB",
      ours: bytes / MB,
      goals: [
        {
          most,
          of: "ours",
        },
      ],
    });
    return [
      row("RSS idle after start", median(idles), 128),
      row("RSS, highest during P3", await highestIn(stage, p3), 256),
      row("RSS, highest during P2b", await highestIn(stage, p2b), 256),
    ];
  },
};
