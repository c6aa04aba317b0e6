// What the plugin has of the outside world.
import type { Packer } from "../lib/archive/packer.ts";
import type { Trimmer } from "../lib/archive/trimmer.ts";
import type { Unpacker } from "../lib/archive/unpacker.ts";
import type { Platform } from "../lib/core/platform.ts";
import type { Files } from "../lib/host/files.ts";
import type { Log } from "../lib/host/log.ts";
import type { Exposition, Metrics } from "../lib/host/metrics.ts";
import type { Mounts } from "../lib/host/mounts.ts";
import type { Pools } from "../lib/host/pool.ts";
import type { Quotas } from "../lib/host/quotas.ts";
import type { Remover } from "../lib/host/remover.ts";
import type { Selinux } from "../lib/host/selinux.ts";
import type { Keyring } from "../lib/registry/keyring.ts";
import type { Clock } from "../lib/volumes/patience.ts";
import type { Registries } from "./registries.ts";

/** The outside world, made once in outside.ts. */
export type Ports = Registries & {
  readonly files: Files;
  readonly mounts: Mounts;
  readonly quotas: Quotas;
  readonly pools: Pools;
  readonly selinux: Selinux;
  readonly log: Log;
  readonly metrics: Metrics & { expose(): Promise<Exposition> };
  readonly keyring: Keyring;
  readonly unpacker: Unpacker;
  readonly packer: Packer;
  readonly trimmer: Trimmer;
  readonly remover: Remover;
  readonly clock: Clock;
  /** What an index is read for where the volume does not say. */
  readonly platform: Platform;
  /** Calls `work` again and again until disposed. */
  readonly every: (ms: number, work: () => Promise<void>) => Disposable;
  /** Waited for after each step of an ingest or a collection, so that a test can stop there as a crash would. */
  readonly onStep?: (step: string) => Promise<void>;
  /** The same for each step of a write-back. */
  readonly onPushStep?: (step: string) => Promise<void>;
};
