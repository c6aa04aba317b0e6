// What a start has to put right, from what the last run left on the disk and in the mount table.
import { type InlineRecord, podDirectoryOf, recordName } from "./record.ts";

/** What is there. Names are those of files and directories under the root. */
export type Remains = {
  readonly records: ReadonlyMap<string, InlineRecord>;
  /** Records that could not be read: nothing of theirs is touched. */
  readonly unreadable: readonly string[];
  /** Where something is mounted, one entry for each mount, stacked ones repeated. */
  readonly mounts: ReadonlyArray<{ readonly target: string }>;
  /** Which of the Records' podDirectoryOf() exist; one that could not be looked at counts as existing. */
  readonly podDirectories: ReadonlySet<string>;
  /** The entries of `volumes/`, named like the Records. */
  readonly volumes: readonly string[];
  /** The entries of `ingest/`. */
  readonly ingest: readonly string[];
};

export type RecoveryStep =
  /** The topmost mount at the target. */
  | { readonly kind: "unmount"; readonly target: string }
  | { readonly kind: "trash"; readonly folder: "volumes" | "ingest"; readonly name: string }
  | { readonly kind: "remove-record"; readonly name: string };

/**
 * The steps, in order; each may be done again. A Volume whose pod is gone goes, its Record last. One whose pod is there
 * is left as it is, mounted or not: the kubelet publishes it again. What no Record speaks of was never finished.
 */
export function planRecovery(remains: Remains): readonly RecoveryStep[] {
  const { records, unreadable, mounts, podDirectories, volumes, ingest } = remains;
  const gone = [...records].filter(
    // A Record under another's name is somebody's copy: it speaks of nothing here.
    ([name, record]) =>
      name !== recordName(record.volumeId, record.target) ||
      !podDirectories.has(podDirectoryOf(record.target)),
  );
  const kept = new Set([...records.keys(), ...unreadable]);
  for (const [name] of gone) kept.delete(name);
  const staying = new Set([...records].filter(([name]) => kept.has(name)).map(([, { target }]) => target));
  const unmounted = new Set(gone.map(([, { target }]) => target).filter((target) => !staying.has(target)));
  return [
    ...mounts
      .filter(({ target }) => unmounted.has(target))
      .map(({ target }): RecoveryStep => ({ kind: "unmount", target })),
    ...volumes.filter((name) => !kept.has(name)).map((name) => trash("volumes", name)),
    ...ingest.map((name) => trash("ingest", name)),
    ...gone.map(([name]): RecoveryStep => ({ kind: "remove-record", name })),
  ];
}

const trash = (folder: "volumes" | "ingest", name: string): RecoveryStep => ({ kind: "trash", folder, name });
