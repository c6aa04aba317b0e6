// P10: ten thousand warm volumes come and go, and nothing stays.
import { readdir } from "node:fs/promises";
import path from "node:path";
import type { Plugin } from "../e2e/plugin.ts";
import { countMounts, countOpenFiles, memoryOf } from "./process.ts";
import type { Measured, Row } from "./row.ts";
import { freshPlugin, publish, volumeOf } from "./sides/plugin.ts";
import type { Pushed } from "./stage.ts";
import { say } from "./voice.ts";

const WARM_UP = 1_000;
const TIMES = 10_000;
/** A heap breathes: its lowest point of this many looks is what does not go away. */
const LOOKS = 200;

type State = {
  readonly rss: number;
  readonly files: number;
  readonly mounts: number;
  readonly records: number;
};

async function comeAndGo(plugin: Plugin, artifact: Pushed, times: number): Promise<void> {
  for (let count = 0; count < times; count++) {
    const volume = await volumeOf(plugin, artifact);
    await publish(volume);
    await volume.unpublish();
    if ((count + 1) % 2_500 === 0) say(`  ${count + 1} volumes came and went`);
  }
}

async function look(plugin: Plugin, artifact: Pushed): Promise<State> {
  let rss = Number.POSITIVE_INFINITY;
  for (let count = 0; count < LOOKS; count++) {
    await comeAndGo(plugin, artifact, 1);
    rss = Math.min(rss, (await memoryOf(plugin.pid)).nowBytes);
  }
  return {
    rss: rss / 1e6,
    files: await countOpenFiles(plugin.pid),
    mounts: await countMounts(),
    records: (await readdir(path.join(plugin.root, "records"))).length,
  };
}

export const p10: Row = {
  id: "P10",
  measure: async (stage) => {
    const artifact = await stage.artifact("small");
    await using plugin = await freshPlugin(stage);
    await comeAndGo(plugin, artifact, WARM_UP);
    const before = await look(plugin, artifact);
    await comeAndGo(plugin, artifact, TIMES);
    const after = await look(plugin, artifact);
    say(`  before ${JSON.stringify(before)}, after ${JSON.stringify(after)}`);
    const row = (what: string, unit: "MB" | "", name: keyof State, most: number): Measured => ({
      id: "P10",
      what: `10,000 volumes come and go: ${what}`,
      unit,
      ours: after[name],
      peer: "before",
      theirs: before[name],
      goals: [
        {
          most,
          of: "ratio",
        },
      ],
    });
    return [
      row("RSS", "MB", "rss", 1.05),
      row("open files", "", "files", 1),
      row("mounts", "", "mounts", 1),
      row("Records", "", "records", 1),
    ];
  },
};
