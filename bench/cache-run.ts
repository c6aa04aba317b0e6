// One ecosystem's cache, step by step: as a claim, and as jobs do it that save and restore an archive of the whole.
import { existsSync } from "node:fs";
import { mkdir, rename } from "node:fs/promises";
import path from "node:path";
import { execa } from "execa";
import type { Plugin } from "../e2e/plugin.ts";
import { tool } from "../testing/tool.ts";
import { type Cost, costOf, costOfPrograms, formatCost } from "./cost.ts";
import type { Ecosystem } from "./ecosystems/ecosystem.ts";
import { type Claim, parametersOf, startClaim, stopClaim } from "./sides/claim.ts";
import { freshPlugin } from "./sides/plugin.ts";
import type { Request, Stage } from "./stage.ts";
import { say } from "./voice.ts";

/** `whole`: the same by an archive of everything, where it is another thing. */
export type Step = { readonly what: string; readonly ours: Cost; readonly whole?: Cost };

export type CacheRun = { readonly id: string; readonly name: string; readonly steps: readonly Step[] };

type Place = {
  readonly stage: Stage;
  readonly ecosystem: Ecosystem;
  readonly project: string;
  readonly scratch: string;
  /** Where builds find their cache, whatever it is: tools keep paths. */
  readonly seen: string;
  readonly tell: (step: Step) => void;
};

export async function measureCache(stage: Stage, ecosystem: Ecosystem): Promise<CacheRun> {
  const steps: Step[] = [];
  const folder = await stage.folder();
  const [project, scratch] = [path.join(folder, "project"), path.join(folder, "scratch")];
  const seen = path.join(folder, "cache");
  for (const directory of [project, scratch, seen]) await mkdir(directory);
  const tell = (step: Step) => {
    steps.push(step);
    const whole = step.whole === undefined ? "" : `; whole ${formatCost(step.whole)}`;
    say(`  ${step.what}: ${formatCost(step.ours)}${whole}`);
  };
  const place = { stage, ecosystem, project, scratch, seen, tell };
  await ecosystem.write(project, scratch, false);
  await using plugin = await freshPlugin(stage);
  await buildCold(place, plugin);
  await ecosystem.write(project, scratch, true);
  await buildUpdated(place, plugin);
  // Another node: nothing of the first one's store is there.
  await using other = await freshPlugin(stage);
  await buildOnFreshNode(place, other);
  const { id, name } = ecosystem;
  return { id, name, steps };
}

async function buildCold(place: Place, plugin: Plugin): Promise<void> {
  const claim = await startClaim(plugin, parametersFor(place));
  place.tell({ what: "cold build", ours: await build(place, claim.target) });
  await place.ecosystem.age?.(claim.target);
  await save(place, plugin, { claim, what: "write-back of all of it" });
}

async function buildUpdated(place: Place, plugin: Plugin): Promise<void> {
  const { tell } = place;
  const started = await start(plugin, place);
  const restored = await restore(place);
  tell({ what: "start of the next job, here", ours: started.cost, whole: restored.cost });
  const ours = await build(place, started.claim.target);
  const whole = await build(place, restored.folder);
  tell({ what: "build after a few updates", ours, whole });
  await save(place, plugin, { claim: started.claim, what: "write-back of the updates" });
}

async function buildOnFreshNode(place: Place, plugin: Plugin): Promise<void> {
  const { ecosystem, project, tell, seen } = place;
  const started = await start(plugin, place);
  const restored = await restore(place);
  tell({ what: "start on a fresh node", ours: started.cost, whole: restored.cost });
  const ours = await build(place, started.claim.target);
  const whole = await build(place, restored.folder);
  tell({ what: "build there", ours, whole });
  await withCache(place, started.claim.target, async () => await ecosystem.verify?.(project, seen));
  await stopClaim(started.claim);
  const removed = await sent(place.stage, () => costOf(plugin.pid, started.claim.remove));
  tell({ what: "write-back where nothing was updated", ours: removed });
}

function parametersFor({ stage, ecosystem }: Place) {
  const recommended = { policy: "pull-push", key: "main", durability: "volatile", ...ecosystem.parameters };
  return parametersOf(stage.host, repositoryOf(ecosystem), { ...recommended, when: "always" });
}

const repositoryOf = ({ name }: Ecosystem) =>
  name
    .toLowerCase()
    .replaceAll(/[^a-z]+/g, "-")
    .replace(/-$/, "");

/**
 * From nothing but the project and the cache. What was there is put aside, as nothing is removed until the end: file
 * systems are slow for a while after many removals, at the cost of whoever comes next.
 */
async function build(place: Place, cache: string): Promise<Cost> {
  const { stage, ecosystem, project, seen } = place;
  const aside = await stage.folder();
  for (const output of [...ecosystem.outputs, "downloads"]) {
    const made = path.join(project, output);
    if (existsSync(made)) await rename(made, path.join(aside, output));
  }
  return await withCache(place, cache, () => costOfPrograms(() => ecosystem.build(project, seen)));
}

/** As a container sees it: at the same path each time. */
async function withCache<T>({ seen }: Place, cache: string, work: () => Promise<T>): Promise<T> {
  await execa("mount", ["--bind", cache, seen]);
  try {
    return await work();
  } finally {
    await execa("umount", [seen]);
  }
}

async function start(plugin: Plugin, place: Place): Promise<{ readonly claim: Claim; readonly cost: Cost }> {
  let claim: Claim | undefined;
  const cost = await received(
    place.stage,
    () =>
      costOf(plugin.pid, async () => {
        claim = await startClaim(plugin, parametersFor(place));
      }),
    ({ path: asked }) => asked.includes("/blobs/"),
  );
  if (claim === undefined) throw new Error("the claim was not started");
  return { claim, cost };
}

const ARCHIVE = "cache.tar.zst";

type Saved = { readonly claim: Claim; readonly what: string };

/** The whole first, while the claim is mounted: as the job does at its end. */
async function save(place: Place, plugin: Plugin, { claim, what }: Saved): Promise<void> {
  const { stage, ecosystem } = place;
  const folder = await stage.folder();
  const oras = await tool("oras");
  await execa("sync");
  const push = async () => {
    const archive = path.join(folder, ARCHIVE);
    await execa("tar", ["--use-compress-program=zstd -T0", "-cf", archive, "-C", claim.target, "."]);
    const reference = `${stage.host}/whole/${repositoryOf(ecosystem)}:main`;
    const args = ["push", "--plain-http", "--no-tty", reference, `${ARCHIVE}:application/zstd`];
    await execa(oras, args, { cwd: folder, stdin: "ignore", env: { HOME: folder } });
  };
  const whole = await sent(stage, () => costOfPrograms(push));
  await stopClaim(claim);
  const ours = await sent(stage, () => costOf(plugin.pid, claim.remove));
  place.tell({ what, ours, whole });
}

async function restore({
  stage,
  ecosystem,
}: Place): Promise<{ readonly folder: string; readonly cost: Cost }> {
  const [download, folder] = [await stage.folder(), await stage.folder()];
  const oras = await tool("oras");
  const pull = async () => {
    const reference = `${stage.host}/whole/${repositoryOf(ecosystem)}:main`;
    const args = ["pull", "--plain-http", "--no-tty", reference];
    await execa(oras, args, { cwd: download, stdin: "ignore", env: { HOME: download } });
    await execa("tar", ["--zstd", "-xf", path.join(download, ARCHIVE), "-C", folder]);
  };
  const cost = await received(stage, () => costOfPrograms(pull));
  return { folder, cost };
}

/** With the bytes of the answers that count. */
async function received(
  stage: Stage,
  work: () => Promise<Cost>,
  counts: (request: Request) => boolean = () => true,
): Promise<Cost> {
  let cost: Cost | undefined;
  const asked = await stage.watched(async () => {
    cost = await work();
  });
  if (cost === undefined) throw new Error("nothing was measured");
  return { ...cost, bytes: asked.filter(counts).reduce((sum, { bytes }) => sum + bytes, 0) };
}

/** With what the registry's disk holds more after `work`. */
async function sent(stage: Stage, work: () => Promise<Cost>): Promise<Cost> {
  const before = await stage.storedBytes();
  const cost = await work();
  return { ...cost, bytes: (await stage.storedBytes()) - before };
}
