// P6a: a claim's end where nothing is written back, whatever the size of its base and of what its pods wrote.
import { mkdir } from "node:fs/promises";
import path from "node:path";
import { execa } from "execa";
import { layersIn } from "./artifacts/layout.ts";
import { flatRow, measureSizes, type Size } from "./coming-and-going.ts";
import { type Measured, quantile, type Row } from "./row.ts";
import { parametersOf, startClaim, stopClaim } from "./sides/claim.ts";
import { freshPlugin } from "./sides/plugin.ts";
import type { Stage } from "./stage.ts";
import { say, seconds, timed } from "./voice.ts";

export const p6a: Row = {
  id: "P6a",
  measure: async (stage) => {
    const measured = await measureSizes(stage);
    const calls = [
      ["unpublish", "unpublish"],
      ["discard", "DeleteVolume with `discard`"],
    ] as const;
    const rows = calls.flatMap(([call, what]) => [
      ...measured.map((size) => rowOf(size, call, what)),
      flatRow(measured, call, { id: "P6a", what }),
    ]);
    return [...rows, await discardWritten(stage)];
  },
};

function rowOf({ label, near }: Size, call: "unpublish" | "discard", what: string): Measured {
  return {
    id: "P6a",
    what: `${what}, ${label}: p99`,
    unit: "ms",
    ours: quantile(near[call], 0.99),
    goals: [{ most: 50, of: "ours" }],
  };
}

/** Pods wrote as much as the middle size has, and none of it is wanted. */
async function discardWritten(stage: Stage): Promise<Measured> {
  const [layer = ""] = await layersIn((await stage.artifact("cache")).layout);
  const times: number[] = [];
  await using plugin = await freshPlugin(stage);
  for (let run = 0; run < stage.runs; run++) {
    const claim = await startClaim(plugin, parametersOf(stage.host, "none"));
    const folder = path.join(claim.target, "written");
    await mkdir(folder);
    await execa("tar", ["--zstd", "-xf", layer, "-C", folder]);
    await stopClaim(claim);
    const ms = await timed(claim.remove);
    say(`  discarded what pods wrote, ${run + 1} of ${stage.runs}: ${seconds(ms)}`);
    times.push(ms);
  }
  const what = "DeleteVolume with `discard` of 1 GB in 65,000 files that pods wrote: the longest";
  return { id: "P6a", what, unit: "ms", ours: Math.max(...times), goals: [{ most: 50, of: "ours" }] };
}
