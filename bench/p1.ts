// P1: publishing what is already here, at the client over the socket.
import { median, quantile, type Row } from "./row.ts";
import { openRival } from "./sides/model-csi-driver.ts";
import { freshPlugin, publish, volumeOf } from "./sides/plugin.ts";
import type { Pushed } from "./stage.ts";
import { say } from "./voice.ts";

const TIMES = 1_000;
const BATCH = 100;

type Volume = { publish(): Promise<void>; unpublish(): Promise<void> };

/** Milliseconds of each publish; what was published goes at once. */
async function publishOften(times: number, next: () => Promise<Volume>): Promise<number[]> {
  const all: number[] = [];
  for (let count = 0; count < times; count++) {
    const volume = await next();
    const began = performance.now();
    await volume.publish();
    all.push(performance.now() - began);
    await volume.unpublish();
  }
  return all;
}

export const p1: Row = {
  id: "P1",
  measure: async (stage) => {
    const artifact: Pushed = await stage.artifact("small");
    await using plugin = await freshPlugin(stage);
    await using rival = await openRival(stage);
    const held = await volumeOf(plugin, artifact);
    await publish(held);
    const again = rival.volume(artifact);
    await again.publish();
    await again.unpublish();
    const ours: number[] = [];
    const theirs: number[] = [];
    for (let batch = 0; batch < TIMES / BATCH; batch++) {
      ours.push(...(await publishOften(BATCH, () => volumeOf(plugin, artifact))));
      theirs.push(...(await publishOften(BATCH, async () => again)));
    }
    await held.unpublish();
    say(`  ${TIMES} publishes each: ${median(ours).toFixed(2)} ms, ${median(theirs).toFixed(2)} ms`);
    const what = "publish of a Tree already here";
    const peer = "model-csi-driver";
    return [
      {
        id: "P1",
        what: `${what}: p50`,
        unit: "ms",
        ours: median(ours),
        peer,
        theirs: median(theirs),
        goals: [
          {
            most: 3,
            of: "ours",
          },
          {
            most: 0.5,
            of: "ratio",
          },
        ],
      },
      {
        id: "P1",
        what: `${what}: p99`,
        unit: "ms",
        ours: quantile(ours, 0.99),
        peer,
        theirs: quantile(theirs, 0.99),
        goals: [
          {
            most: 15,
            of: "ours",
          },
        ],
      },
    ];
  },
};
