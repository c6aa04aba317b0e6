// The start: puts right what the last run left, before anybody can call.
import path from "node:path";
import { isFailure } from "../core/failure.ts";
import { podDirectoryOf } from "../core/record.ts";
import { planRecovery, type RecoveryStep, type Remains } from "../core/recovery.ts";
import type { Files } from "../host/files.ts";
import type { Log } from "../host/log.ts";
import type { Mounts } from "../host/mounts.ts";
import { namesIn } from "../host/names-in.ts";
import type { ClaimRecords } from "./claim-records.ts";
import type { Records } from "./records.ts";

export type RecoverDeps = {
  readonly files: Files;
  readonly mounts: Mounts;
  readonly records: Records;
  readonly claims: Pick<ClaimRecords, "find" | "unreadable">;
  readonly root: string;
  readonly log: Log;
  /** Renames into `trash/`; what is there is removed later, by descriptor. */
  readonly discard: (at: string) => Promise<void>;
};

/** Mounts of live pods are not touched, nothing is mounted, nothing pulled. May be stopped anywhere and run again. */
export async function recover(deps: RecoverDeps): Promise<void> {
  const steps = planRecovery(await readRemains(deps));
  for (const step of steps) await apply(deps, step);
  if (steps.length > 0) deps.log.info("Put right what the last run left", { steps: steps.length });
}

async function readRemains({ files, mounts, records, claims, root }: RecoverDeps): Promise<Remains> {
  const podDirectories = new Set<string>();
  for (const { target } of records.all.values()) {
    const directory = podDirectoryOf(target);
    if (await mayExist(files, directory)) podDirectories.add(directory);
  }
  const isClaims = (name: string) => claims.find(name) !== undefined || claims.unreadable.includes(name);
  const volumes = await namesIn(files, path.join(root, "volumes"));
  return {
    records: records.all,
    unreadable: records.unreadable,
    mounts: await mounts.list(),
    podDirectories,
    volumes: volumes.filter((name) => !isClaims(name)),
    ingest: await namesIn(files, path.join(root, "ingest")),
  };
}

async function apply({ mounts, records, root, discard }: RecoverDeps, step: RecoveryStep): Promise<void> {
  switch (step.kind) {
    case "unmount":
      await mounts.unmount(step.target);
      return;
    case "trash":
      await discard(path.join(root, step.folder, step.name));
      return;
    case "remove-record":
      await records.remove(step.name);
  }
}

/** A directory that cannot be looked at counts as there: only its absence lets a Record go. */
async function mayExist(files: Files, directory: string): Promise<boolean> {
  try {
    await files.list(directory);
    return true;
  } catch (error) {
    return !isFailure(error, "not-found");
  }
}
