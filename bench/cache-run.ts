// One ecosystem's cache, step by step: as a claim, and as jobs do it that save and restore an archive of the whole.
import { mkdir, rm } from "node:fs/promises";
import path from "node:path";
import { execa } from "execa";
import type { Plugin } from "../e2e/plugin.ts";
import { tool } from "../testing/tool.ts";
import type { Ecosystem } from "./ecosystems/ecosystem.ts";
import { type Claim, parametersOf, startClaim, stopClaim } from "./sides/claim.ts";
import { freshPlugin } from "./sides/plugin.ts";
import type { Stage } from "./stage.ts";
import { say, seconds, timed } from "./voice.ts";

export type Took = { readonly ms: number; readonly bytes?: number };

/** `whole`: the same by an archive of everything, where it is another thing. */
export type Step = { readonly what: string; readonly ours: Took; readonly whole?: Took };

export type CacheRun = { readonly id: string; readonly name: string; readonly steps: readonly Step[] };

type Place = {
  readonly stage: Stage;
  readonly ecosystem: Ecosystem;
  readonly project: string;
  readonly scratch: string;
  readonly tell: (step: Step) => void;
};

export async function measureCache(stage: Stage, ecosystem: Ecosystem): Promise<CacheRun> {
  const steps: Step[] = [];
  const folder = await stage.folder();
  const [project, scratch] = [path.join(folder, "project"), path.join(folder, "scratch")];
  for (const directory of [project, scratch]) await mkdir(directory);
  const tell = (step: Step) => {
    steps.push(step);
    const whole = step.whole === undefined ? "" : `; whole ${formatTook(step.whole)}`;
    say(`  ${step.what}: ${formatTook(step.ours)}${whole}`);
  };
  const place = { stage, ecosystem, project, scratch, tell };
  await ecosystem.write(project, scratch, false);
  {
    await using plugin = await freshPlugin(stage);
    await buildCold(place, plugin);
    await ecosystem.write(project, scratch, true);
    await buildUpdated(place, plugin);
  }
  // Another node: nothing of the first one's store is there.
  await using plugin = await freshPlugin(stage);
  await buildOnFreshNode(place, plugin);
  const { id, name } = ecosystem;
  return { id, name, steps };
}

async function buildCold(place: Place, plugin: Plugin): Promise<void> {
  const claim = await startClaim(plugin, parametersFor(place));
  place.tell({ what: "cold build", ours: await build(place, claim.target) });
  await save(place, claim, "write-back of all of it");
}

async function buildUpdated(place: Place, plugin: Plugin): Promise<void> {
  const { tell } = place;
  const started = await start(plugin, place);
  const restored = await restore(place);
  tell({ what: "start of the next job, here", ours: started.took, whole: restored.took });
  const ours = await build(place, started.claim.target);
  const whole = await build(place, restored.folder);
  tell({ what: "build after a few updates", ours, whole });
  await rm(restored.folder, { recursive: true });
  await save(place, started.claim, "write-back of the updates");
}

async function buildOnFreshNode(place: Place, plugin: Plugin): Promise<void> {
  const { ecosystem, project, tell } = place;
  const started = await start(plugin, place);
  const restored = await restore(place);
  tell({ what: "start on a fresh node", ours: started.took, whole: restored.took });
  const ours = await build(place, started.claim.target);
  const whole = await build(place, restored.folder);
  tell({ what: "build there", ours, whole });
  await ecosystem.verify?.(project, started.claim.target);
  await stopClaim(started.claim);
  const { ms, bytes } = await sent(place.stage, started.claim.remove);
  tell({ what: "write-back where nothing was updated", ours: { ms, bytes } });
}

function parametersFor({ stage, ecosystem }: Place) {
  const cache = repositoryOf(ecosystem);
  return parametersOf(stage.host, cache, { policy: "pull-push", when: "always", key: "main" });
}

const repositoryOf = ({ name }: Ecosystem) =>
  name
    .toLowerCase()
    .replaceAll(/[^a-z]+/g, "-")
    .replace(/-$/, "");

/** From nothing but the project and the cache. */
async function build({ ecosystem, project }: Place, cache: string): Promise<Took> {
  for (const output of [...ecosystem.outputs, "downloads"])
    await rm(path.join(project, output), { recursive: true, force: true });
  return { ms: await timed(() => ecosystem.build(project, cache)) };
}

async function start(plugin: Plugin, place: Place): Promise<{ readonly claim: Claim; readonly took: Took }> {
  let claim: Claim | undefined;
  let ms = 0;
  const asked = await place.stage.watched(async () => {
    ms = await timed(async () => {
      claim = await startClaim(plugin, parametersFor(place));
    });
  });
  if (claim === undefined) throw new Error("the claim was not started");
  const blobs = asked.filter((request) => request.path.includes("/blobs/"));
  return { claim, took: { ms, bytes: blobs.reduce((sum, { bytes }) => sum + bytes, 0) } };
}

const ARCHIVE = "cache.tar.zst";

/** The whole first, while the claim is mounted: as the job does at its end. */
async function save(place: Place, claim: Claim, what: string): Promise<void> {
  const { stage, ecosystem } = place;
  const folder = await stage.folder();
  const oras = await tool("oras");
  await execa("sync");
  const whole = await sent(stage, async () => {
    const archive = path.join(folder, ARCHIVE);
    await execa("tar", ["--use-compress-program=zstd -T0", "-cf", archive, "-C", claim.target, "."]);
    const reference = `${stage.host}/whole/${repositoryOf(ecosystem)}:main`;
    const args = ["push", "--plain-http", "--no-tty", reference, `${ARCHIVE}:application/zstd`];
    await execa(oras, args, { cwd: folder, stdin: "ignore", env: { HOME: folder } });
  });
  await rm(folder, { recursive: true });
  await stopClaim(claim);
  place.tell({ what, ours: await sent(stage, claim.remove), whole });
}

async function restore({
  stage,
  ecosystem,
}: Place): Promise<{ readonly folder: string; readonly took: Took }> {
  const [download, folder] = [await stage.folder(), await stage.folder()];
  const oras = await tool("oras");
  let ms = 0;
  const asked = await stage.watched(async () => {
    ms = await timed(async () => {
      const reference = `${stage.host}/whole/${repositoryOf(ecosystem)}:main`;
      const args = ["pull", "--plain-http", "--no-tty", reference];
      await execa(oras, args, { cwd: download, stdin: "ignore", env: { HOME: download } });
      await execa("tar", ["--zstd", "-xf", path.join(download, ARCHIVE), "-C", folder]);
    });
  });
  await rm(download, { recursive: true });
  return { folder, took: { ms, bytes: asked.reduce((sum, { bytes }) => sum + bytes, 0) } };
}

/** What the registry's disk holds more after `work`. */
async function sent(stage: Stage, work: () => Promise<unknown>): Promise<Required<Took>> {
  const before = await stage.storedBytes();
  const ms = await timed(work);
  return { ms, bytes: (await stage.storedBytes()) - before };
}

const formatTook = ({ ms, bytes }: Took) =>
  bytes === undefined ? seconds(ms) : `${seconds(ms)}, ${(bytes / 1e6).toFixed(1)} MB`;
