// Brings one artifact again and again from nothing, the sides taking turns, and compares the medians.
import { execa } from "execa";
import { median } from "./row.ts";
import type { Pushed, Stage } from "./stage.ts";
import { say, seconds } from "./voice.ts";

export type Brought = { readonly ms: number; readonly highestBytes?: number };

/** One of those compared: brings an artifact into a fresh folder, with nothing of it here before. */
export interface Side {
  readonly name: string;
  bring(stage: Stage, artifact: Pushed): Promise<Brought>;
}

export type Entry = { readonly side: Side; readonly artifact: Pushed };

export type Outcome = { readonly ms: number; readonly highestBytes: number };

/** The median time of each, and the highest memory of any of its runs. The page cache is as it is, for all alike. */
export async function bringInTurns(stage: Stage, entries: readonly Entry[]): Promise<readonly Outcome[]> {
  const runs = entries.map((): Brought[] => []);
  for (let run = 0; run < stage.runs; run++) {
    for (const [index, { side, artifact }] of entries.entries()) {
      await execa("sync");
      const brought = await side.bring(stage, artifact);
      say(`  ${side.name}: ${artifact.name}, ${run + 1} of ${stage.runs}: ${seconds(brought.ms)}`);
      runs[index]?.push(brought);
    }
  }
  return runs.map((all) => ({
    ms: median(all.map((one) => one.ms)),
    highestBytes: Math.max(...all.map((one) => one.highestBytes ?? 0)),
  }));
}
