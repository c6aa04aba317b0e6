// A pull in progress, in words: what a pod's events show while it waits.
import { formatBytes } from "./quantity.ts";

export type PullProgress = {
  readonly artifact: string;
  readonly doneBytes: number;
  /** None until the manifest is here. */
  readonly totalBytes?: number;
  readonly bytesPerSecond?: number;
  /** Who sent the bytes so far. */
  readonly sources: ReadonlyArray<{ readonly kind: "upstream" | "mirror"; readonly host: string }>;
  /** Why what is asked for does not come, where it does not: who did what. */
  readonly trouble?: string;
};

/**
 * Such as `Pulling r.example/a:b: 42 % (512 MiB of 1.2 GiB) at 85 MiB/s from the mirror m.example, about 9 s left`, and
 * what is amiss.
 */
export function formatProgress(progress: PullProgress): string {
  const { trouble } = progress;
  return `${formatPull(progress)}${trouble === undefined ? "" : `; ${trouble}, and is asked again`}`;
}

function formatPull(progress: PullProgress): string {
  const { artifact, doneBytes, totalBytes, bytesPerSecond = 0, sources } = progress;
  if (totalBytes === undefined) return `Pulling ${artifact}: asking the registry what it is made of`;
  if (doneBytes >= totalBytes)
    return `Pulling ${artifact}: all ${formatBytes(totalBytes)} are here, unpacking`;
  const names = [
    ...new Set(sources.map(({ kind, host }) => (kind === "mirror" ? `the mirror ${host}` : host))),
  ];
  const from = names.length === 0 ? "" : ` from ${names.join(" and ")}`;
  return `Pulling ${artifact}: ${formatShare({ doneBytes, totalBytes, bytesPerSecond, from })}`;
}

export type PackProgress = {
  /** Such as `what changed in the volume "x"`. */
  readonly what: string;
  /** How many were looked at; none before the first. */
  readonly entries?: number;
  /** Names that only the base has come on top. */
  readonly totalEntries?: number;
  /** Into the archive, before compression. */
  readonly bytes?: number;
};

/** Such as `Packing what changed in the volume "x": 3200 of 8500 entries (37 %), 12 MiB to be sent`. */
export function formatPackProgress({ what, entries, totalEntries = 0, bytes = 0 }: PackProgress): string {
  if (entries === undefined) return `Packing ${what}`;
  const total = Math.max(totalEntries, entries);
  const share = totalEntries === 0 ? "" : ` of ${total}`;
  const percent = totalEntries === 0 ? "" : ` (${Math.floor((entries / total) * 100)} %)`;
  return `Packing ${what}: ${entries}${share} entries${percent}, ${formatBytes(bytes)} to be sent`;
}

export type PushProgress = {
  readonly artifact: string;
  readonly doneBytes: number;
  /** None until its first blob is looked at. */
  readonly totalBytes?: number;
  readonly bytesPerSecond?: number;
};

/** Such as `Pushing r.example/a:b: 42 % (512 MiB of 1.2 GiB) at 85 MiB/s, about 9 s left`. */
export function formatPushProgress(progress: PushProgress): string {
  const { artifact, doneBytes, totalBytes, bytesPerSecond = 0 } = progress;
  if (totalBytes === undefined) return `Pushing ${artifact}: asking the registry what it has of its base`;
  if (doneBytes >= totalBytes) {
    return `Pushing ${artifact}: all ${formatBytes(totalBytes)} are sent, asking the registry for them again`;
  }
  return `Pushing ${artifact}: ${formatShare({ doneBytes, totalBytes, bytesPerSecond, from: "" })}`;
}

type Share = {
  readonly doneBytes: number;
  readonly totalBytes: number;
  readonly bytesPerSecond: number;
  readonly from: string;
};

function formatShare({ doneBytes, totalBytes, bytesPerSecond, from }: Share): string {
  const rate = bytesPerSecond < 1 ? "" : ` at ${formatBytes(bytesPerSecond)}/s`;
  const left = rate === "" ? "" : `, about ${formatWait((totalBytes - doneBytes) / bytesPerSecond)} left`;
  // Rounded down: 100 % is for what is all here.
  const percent = Math.floor((doneBytes / totalBytes) * 100);
  return `${percent} % (${formatBytes(doneBytes)} of ${formatBytes(totalBytes)})${rate}${from}${left}`;
}

function formatWait(seconds: number): string {
  if (seconds < 90) return `${Math.ceil(seconds)} s`;
  const minutes = Math.ceil(seconds / 60);
  return minutes < 120 ? `${minutes} min` : `${Math.ceil(minutes / 60)} h`;
}

/** How much had come by when, on a clock that never goes back. */
export type ProgressSample = { readonly atMs: number; readonly bytes: number };

/** Bytes a second over the samples of the last `windowMs`; none where they are too few to tell. */
export function rateOf(
  samples: readonly ProgressSample[],
  nowMs: number,
  windowMs = 10_000,
): number | undefined {
  const recent = samples.filter(({ atMs }) => atMs >= nowMs - windowMs && atMs <= nowMs);
  const first = recent[0];
  const last = recent.at(-1);
  if (first === undefined || last === undefined || nowMs - first.atMs < 100) return undefined;
  return Math.max(0, ((last.bytes - first.bytes) * 1000) / (nowMs - first.atMs));
}
