// Fills caches with the tools' own downloads, writes them back, and builds on a fresh node; beside it, archives of the whole.
import { writeFile } from "node:fs/promises";
import path from "node:path";
import { type CacheRun, measureCache } from "./cache-run.ts";
import { type Cost, formatCost } from "./cost.ts";
import { cargo, cargoContent } from "./ecosystems/cargo.ts";
import type { Ecosystem } from "./ecosystems/ecosystem.ts";
import { go, goExact } from "./ecosystems/go.ts";
import { maven } from "./ecosystems/maven.ts";
import { npmModules, npmStore } from "./ecosystems/npm.ts";
import { pip, pipVenv } from "./ecosystems/pip.ts";
import { openStage } from "./stage.ts";
import { formatCells } from "./table.ts";
import { say } from "./voice.ts";

const ecosystems: readonly Ecosystem[] = [
  npmStore,
  npmModules,
  maven,
  go,
  goExact,
  cargo,
  cargoContent,
  pip,
  pipVenv,
];

const wanted = process.argv.slice(2);
const chosen = ecosystems.filter(({ id }) => wanted.length === 0 || wanted.includes(id));
const runs: CacheRun[] = [];
{
  await using stage = await openStage(1);
  for (const ecosystem of chosen) {
    say(`${ecosystem.id}: ${ecosystem.name}`);
    try {
      runs.push(await measureCache(stage, ecosystem));
    } catch (error) {
      // What the others say is worth having all the same.
      console.error(`${ecosystem.id} could not be measured:`, error);
      process.exitCode = 1;
    }
  }
}
await writeFile(path.join(import.meta.dirname, "caches.json"), `${JSON.stringify(runs, null, 2)}\n`);

const figure = (cost: Cost | undefined) => (cost === undefined ? "–" : formatCost(cost));
for (const { id, name, steps } of runs) {
  const rows = steps.map(({ what, ours, whole }) => [what, figure(ours), figure(whole)]);
  console.log(`\n**${id}: ${name}**\n`);
  console.log(formatCells([["step", "ours", "tar+zstd, whole"], ...rows]));
}
