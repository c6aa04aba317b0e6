// P12: two hundred claims of one cache come and go, several at a time, and nothing stays.
import { readdir } from "node:fs/promises";
import path from "node:path";
import type { Plugin } from "../e2e/plugin.ts";
import { countMounts, memoryOf } from "./process.ts";
import { type Measured, median, type Row } from "./row.ts";
import { type Parameters, parametersOf, startClaim, stopClaim } from "./sides/claim.ts";
import { freshPlugin } from "./sides/plugin.ts";
import { say } from "./voice.ts";

const CLAIMS = 200;
/** As many as a provisioner and a kubelet have under way at once. */
const AT_ONCE = 10;
/** A heap breathes: its lowest point of this many looks is what does not go away. */
const LOOKS = 50;

async function comeAndGo(plugin: Plugin, parameters: Parameters, claims = CLAIMS): Promise<number> {
  const began = performance.now();
  let left = claims;
  const work = async () => {
    while (left-- > 0) {
      const claim = await startClaim(plugin, parameters);
      await stopClaim(claim);
      await claim.remove();
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
  return (claims * 1_000) / (performance.now() - began);
}

type State = { readonly rss: number; readonly mounts: number; readonly left: number };

async function look(plugin: Plugin, parameters: Parameters): Promise<State> {
  let rss = Number.POSITIVE_INFINITY;
  for (let count = 0; count < LOOKS; count++) {
    await comeAndGo(plugin, parameters, AT_ONCE);
    rss = Math.min(rss, (await memoryOf(plugin.pid)).nowBytes);
  }
  const count = async (folder: string) => (await readdir(path.join(plugin.root, folder))).length;
  return {
    rss: rss / 1e6,
    mounts: await countMounts(),
    left: (await count("claims")) + (await count("volumes")),
  };
}

export const p12: Row = {
  id: "P12",
  measure: async (stage) => {
    await stage.artifact("cacheSmall");
    await using plugin = await freshPlugin(stage);
    const parameters = parametersOf(stage.host, "cachesmall");
    // A heap settles first.
    for (let run = 0; run < 5; run++) await comeAndGo(plugin, parameters);
    const before = await look(plugin, parameters);
    const rates: number[] = [];
    for (let run = 0; run < stage.runs; run++) {
      rates.push(await comeAndGo(plugin, parameters));
      say(`  ${CLAIMS} claims, ${run + 1} of ${stage.runs}: ${rates.at(-1)?.toFixed(1)} a second`);
    }
    const after = await look(plugin, parameters);
    say(`  before ${JSON.stringify(before)}, after ${JSON.stringify(after)}`);
    const what = `${CLAIMS} claims of one cache created, mounted, unmounted, discarded`;
    const still = (name: keyof State, label: string, unit: "MB" | "", most: number): Measured => ({
      id: "P12",
      what: `the same, ${stage.runs} times over: ${label}`,
      unit,
      ours: after[name],
      peer: "before",
      theirs: before[name],
      goals: [{ most, of: "ratio" }],
    });
    return [
      {
        id: "P12",
        what: `${what}, ${AT_ONCE} at a time: claims per second`,
        unit: "",
        ours: median(rates),
        goals: [{ least: 20, of: "ours" }],
      },
      still("rss", "RSS", "MB", 1.05),
      still("mounts", "mounts", "", 1),
      { ...still("left", "Records and directories left", "", 1), goals: [{ most: 0, of: "ours" }] },
    ];
  },
};
