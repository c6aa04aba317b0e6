// P5 and P5c: six packages of a large tree are updated, and only what changed goes back to the registry.
import { existsSync, readFileSync } from "node:fs";
import { cp, writeFile } from "node:fs/promises";
import path from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { execa } from "execa";
import type { Plugin } from "../e2e/plugin.ts";
import { tool } from "../testing/tool.ts";
import { openPackages, type Packages } from "./artifacts/packages.ts";
import { packDifference } from "./difference.ts";
import { median, type Row } from "./row.ts";
import { type Claim, parametersOf, startClaim, stopClaim } from "./sides/claim.ts";
import { freshPlugin } from "./sides/plugin.ts";
import type { Stage } from "./stage.ts";
import { say, seconds, timed } from "./voice.ts";

type WriteBack = { readonly ms: number; readonly bytes: number };
type Committed = WriteBack & { readonly commitMs: number };

type Written = {
  readonly first: Committed;
  readonly ours: readonly Committed[];
  readonly peers: readonly WriteBack[];
  /** tar+zstd of nothing but the files that differ. */
  readonly differenceBytes: number;
};

const terms = { policy: "pull-push", when: "always" };

/** What the registry's disk holds more after `work`. */
async function sent(stage: Stage, work: () => Promise<unknown>): Promise<WriteBack> {
  const before = await stage.storedBytes();
  const ms = await timed(work);
  return { ms, bytes: (await stage.storedBytes()) - before };
}

async function writeBack(stage: Stage, plugin: Plugin, claim: Claim): Promise<Committed> {
  await stopClaim(claim);
  const watch = new AbortController();
  let commitMs: Promise<number> = Promise.resolve(Number.NaN);
  const { ms, bytes } = await sent(stage, async () => {
    const began = performance.now();
    commitMs = committed(plugin, claim, watch.signal).then((at) => at - began);
    await claim.remove();
  });
  watch.abort();
  return { ms, bytes, commitMs: await commitMs };
}

/** When its Record names a Layer that is in place: the next claim can start from it. */
async function committed({ root }: Plugin, { id }: Claim, signal: AbortSignal): Promise<number> {
  while (!signal.aborted) {
    const layer = layerOf(path.join(root, "claims", id));
    if (layer !== undefined && existsSync(path.join(root, "layers", layer, "layer.json"))) break;
    await pause(1);
  }
  return performance.now();
}

function layerOf(record: string): string | undefined {
  try {
    const { commit } = JSON.parse(readFileSync(record, "utf8")) as { commit?: { layer: string } };
    return commit?.layer.replace("sha256:", "");
  } catch {
    // It is gone by now.
    return undefined;
  }
}

async function writeFirst(stage: Stage, plugin: Plugin, packages: Packages): Promise<Committed> {
  const claim = await startClaim(plugin, parametersOf(stage.host, "packages", { ...terms, key: "base" }));
  await cp(packages.folder, claim.target, {
    recursive: true,
    verbatimSymlinks: true,
    preserveTimestamps: true,
  });
  return await writeBack(stage, plugin, claim);
}

async function writeUpdate(stage: Stage, plugin: Plugin, packages: Packages, run: number) {
  const more = { ...terms, key: `run-${run}`, "restore-keys": "base" };
  const claim = await startClaim(plugin, parametersOf(stage.host, "packages", more));
  await packages.update(claim.target);
  // Else the registry would have it from the run before.
  await writeFile(path.join(claim.target, "run"), `${run}`);
  return await writeBack(stage, plugin, claim);
}

/** As a job does that saves its cache whole. */
async function pushWhole(stage: Stage, updated: string, run: number): Promise<WriteBack> {
  const folder = await stage.folder();
  await writeFile(path.join(updated, "run"), `${run}`);
  await execa("sync");
  const oras = await tool("oras");
  const archive = "cache.tar.zst";
  const written = await sent(stage, async () => {
    await execa("tar", [
      "--use-compress-program=zstd -T0",
      "-cf",
      path.join(folder, archive),
      "-C",
      updated,
      ".",
    ]);
    const reference = `${stage.host}/bench/whole:run-${run}`;
    const args = ["push", "--plain-http", "--no-tty", reference, `${archive}:application/zstd`];
    await execa(oras, args, { cwd: folder, stdin: "ignore", env: { HOME: folder } });
  });
  await stage.drop(folder);
  return written;
}

async function measureWriting(stage: Stage): Promise<Written> {
  const packages = await openPackages(stage.cache);
  await using plugin = await freshPlugin(stage);
  const first = await writeFirst(stage, plugin, packages);
  say(`  all of it: ${formatWritten(first)}`);
  const updated = await stage.folder();
  await cp(packages.folder, updated, { recursive: true, verbatimSymlinks: true, preserveTimestamps: true });
  await packages.update(updated);
  const differenceBytes = await packDifference(packages.folder, updated);
  const ours: Committed[] = [];
  const peers: WriteBack[] = [];
  for (let run = 0; run < stage.runs; run++) {
    ours.push(await writeUpdate(stage, plugin, packages, run));
    peers.push(await pushWhole(stage, updated, run));
    say(
      `  ${run + 1} of ${stage.runs}: ${formatWritten(ours.at(-1))}; whole: ${formatWritten(peers.at(-1))}`,
    );
  }
  await stage.drop(updated);
  return { first, ours, peers, differenceBytes };
}

const formatWritten = (written: WriteBack | undefined) =>
  `${((written?.bytes ?? 0) / 1e6).toFixed(1)} MB in ${seconds(written?.ms ?? 0)}`;

const known = new WeakMap<Stage, Promise<Written>>();

function measured(stage: Stage): Promise<Written> {
  const written = known.get(stage) ?? measureWriting(stage);
  known.set(stage, written);
  return written;
}

export const p5: Row = {
  id: "P5",
  measure: async (stage) => {
    const { first, ours, peers, differenceBytes } = await measured(stage);
    const megabytes = (all: readonly WriteBack[]) => median(all.map(({ bytes }) => bytes)) / 1e6;
    const time = (all: readonly WriteBack[]) => median(all.map(({ ms }) => ms)) / 1_000;
    const bytes = { id: "P5", unit: "MB", ours: megabytes(ours) } as const;
    return [
      {
        ...bytes,
        what: "npm install updates six packages of 1 GB in 65,000 files: bytes pushed",
        peer: "tar+zstd, oras push",
        theirs: megabytes(peers),
        goals: [{ most: 0.3, of: "ratio" }],
      },
      {
        ...bytes,
        what: "the same against the files that differ, and no others",
        peer: "tar+zstd",
        theirs: differenceBytes / 1e6,
        goals: [{ most: 1.1, of: "ratio" }],
      },
      {
        id: "P5",
        what: "the same: DeleteVolume to confirmed",
        unit: "s",
        ours: time(ours),
        peer: "tar+zstd, oras push",
        theirs: time(peers),
        goals: [{ most: 0.2, of: "ratio" }],
      },
      {
        id: "P5",
        what: "the first write-back, of all of it, once: DeleteVolume to confirmed",
        unit: "s",
        ours: time([first]),
        peer: "tar+zstd, oras push",
        theirs: time(peers),
        goals: [],
      },
    ];
  },
};

export const p5c: Row = {
  id: "P5c",
  measure: async (stage) => {
    const { ours } = await measured(stage);
    const what = "commit alone, after which the next claim can start, of those updates";
    const ms = median(ours.map(({ commitMs }) => commitMs));
    return [{ id: "P5c", what, unit: "ms", ours: ms, goals: [{ most: 50, of: "ours" }] }];
  },
};
