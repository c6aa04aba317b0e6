// Claims of caches in three sizes come and go: what the rows of their beginning and of their end have in common.
import { execa } from "execa";
import type { Plugin } from "../e2e/plugin.ts";
import type { ArtifactName } from "./artifacts/catalogue.ts";
import { layersIn } from "./artifacts/layout.ts";
import { checkTree } from "./check-tree.ts";
import { type Distance, openDistance } from "./latency.ts";
import { type Measured, median } from "./row.ts";
import { type Parameters, parametersOf, startClaim, stopClaim } from "./sides/claim.ts";
import { freshPlugin } from "./sides/plugin.ts";
import type { Pushed, Stage } from "./stage.ts";
import { say, seconds, timed } from "./voice.ts";

const TIMES = 100;
export const FAR_MS = 50;

const sizes = [
  { name: "cacheSmall", label: "10 MB in 650 files" },
  { name: "cache", label: "1 GB in 65,000 files" },
  { name: "cacheLarge", label: "5 GB in 65,000 files" },
] as const satisfies ReadonlyArray<{ readonly name: ArtifactName; readonly label: string }>;

/** Milliseconds of each claim's calls. */
type Times = { readonly start: number[]; readonly unpublish: number[]; readonly discard: number[] };

export type Size = {
  readonly label: string;
  readonly near: Times;
  /** The registry being FAR_MS away. */
  readonly far: Times;
  /** Of the peer, which has the archive at hand. */
  readonly peerMs: number;
};

const known = new WeakMap<Stage, Promise<readonly Size[]>>();

/** Once for all rows: they are of the same claims. */
export function measureSizes(stage: Stage): Promise<readonly Size[]> {
  const measured = known.get(stage) ?? measureAll(stage);
  known.set(stage, measured);
  return measured;
}

/** Medians, of the largest and of the smallest. */
export function flatRow(
  measured: readonly Size[],
  call: keyof Times,
  { id, what }: Pick<Measured, "id" | "what">,
): Measured {
  return {
    id,
    what: `${what}: 5 GB against 10 MB, p50`,
    unit: "ms",
    ours: median(measured.at(-1)?.near[call] ?? []),
    peer: "10 MB",
    theirs: median(measured[0]?.near[call] ?? []),
    goals: [{ most: 1.25, of: "ratio" }],
  };
}

async function measureAll(stage: Stage): Promise<readonly Size[]> {
  await using distance = await openDistance(stage.host);
  const all: Size[] = [];
  for (const { name, label } of sizes) {
    const artifact = await stage.artifact(name);
    const peerMs = await extractOften(stage, artifact);
    await using plugin = await freshPlugin(stage);
    const parameters = parametersOf(distance.host, name.toLowerCase());
    await warmUp(plugin, parameters, artifact);
    const near = await comeAndGo(plugin, parameters, { distance, roundTripMs: 0 });
    const far = await comeAndGo(plugin, parameters, { distance, roundTripMs: FAR_MS });
    say(`  ${label}: ${seconds(median(near.start))}, from afar ${seconds(median(far.start))}`);
    all.push({ label, near, far, peerMs });
  }
  return all;
}

async function warmUp(plugin: Plugin, parameters: Parameters, artifact: Pushed): Promise<void> {
  const claim = await startClaim(plugin, parameters);
  await checkTree(claim.target, artifact);
  await stopClaim(claim);
  await claim.remove();
}

async function comeAndGo(
  plugin: Plugin,
  parameters: Parameters,
  { distance, roundTripMs }: { readonly distance: Distance; readonly roundTripMs: number },
): Promise<Times> {
  const times: Times = { start: [], unpublish: [], discard: [] };
  distance.roundTripMs = roundTripMs;
  for (let time = 0; time < TIMES; time++) {
    const began = performance.now();
    const claim = await startClaim(plugin, parameters);
    times.start.push(performance.now() - began);
    times.unpublish.push(await timed(claim.unpublish));
    await claim.unstage();
    times.discard.push(await timed(claim.remove));
  }
  distance.roundTripMs = 0;
  return times;
}

/** What a job does that has its cache as one archive at hand, without the download. */
async function extractOften(stage: Stage, artifact: Pushed): Promise<number> {
  const [layer = ""] = await layersIn(artifact.layout);
  const all: number[] = [];
  for (let run = 0; run < stage.runs; run++) {
    const folder = await stage.folder();
    await execa("sync");
    all.push(await timed(() => execa("tar", ["--zstd", "-xf", layer, "-C", folder])));
    await stage.drop(folder);
  }
  say(`  tar --zstd -x of ${artifact.name}: ${seconds(median(all))}`);
  return median(all);
}
