// The registries: how they are reached, read and written, each by the node's settings.
import path from "node:path";
import { setTimeout } from "node:timers/promises";
import { findProgram } from "../lib/host/find-program.ts";
import type { Log } from "../lib/host/log.ts";
import type { Metrics } from "../lib/host/metrics.ts";
import type { Processes } from "../lib/host/processes.ts";
import { findTextFile } from "../lib/host/text-file.ts";
import { HostBook } from "../lib/registry/hosts.ts";
import { Limits, Slots } from "../lib/registry/limits.ts";
import type { Observe } from "../lib/registry/observe.ts";
import { openOras } from "../lib/registry/open-oras.ts";
import { openReader } from "../lib/registry/open-reader.ts";
import type { Oras } from "../lib/registry/oras.ts";
import { openOrasReach } from "../lib/registry/oras-reach.ts";
import type { PersistDeps } from "../lib/registry/persist.ts";
import type { Reader } from "../lib/registry/reader.ts";
import type { Upstream } from "../lib/registry/upstream.ts";
import type { NodeSettings } from "../lib/settings/node.ts";

export type Registries = {
  readonly reader: Reader & Upstream;
  readonly oras: Oras;
  /** Why nothing can be written, in words; undefined where it can. */
  readonly lacking: () => Promise<string | undefined>;
  /** How long a request is made again, and who is told. */
  readonly patience: PersistDeps;
};

type Deps = {
  readonly log: Log;
  readonly metrics: Pick<Metrics, "countBytes">;
  readonly processes: Processes;
  /** What programs may know of our environment. */
  readonly env: Readonly<Record<string, string>>;
};

/** Programs at once, for all registries and for one: each takes tens of megabytes. */
const MOST_ORAS = 8;
const MOST_ORAS_OF_ONE = 6;

export function openRegistries(settings: NodeSettings, { log, metrics, processes, env }: Deps): Registries {
  const { registries, hostsDirectory: directory, pull, root, oras: program } = settings;
  const hosts = new HostBook({
    registries,
    directory,
    readText: (file) => findTextFile(file, "what the settings of registries name,"),
    now: Date.now,
  });
  const patience: PersistDeps = {
    now: Date.now,
    random: Math.random,
    sleep: (ms, signal) =>
      setTimeout(ms, undefined, { signal }).catch(() => {
        throw signal.reason;
      }),
    observe: observeWith(log, metrics),
  };
  const attempts = path.join(root, "attempts");
  return {
    reader: openReader({ ...patience, hosts, limits: new Limits(pull) }),
    oras: openOras({
      processes,
      program,
      attempts,
      env,
      slots: new Slots(MOST_ORAS, MOST_ORAS_OF_ONE),
      ...openOrasReach(hosts),
    }),
    patience,
    lacking: async () => {
      if ((await findProgram(program, env["PATH"] ?? "")) !== undefined) return undefined;
      return `there is no program "${program}" here; install the ORAS CLI, or say in the node's settings where it is ("oras")`;
    },
  };
}

function observeWith(log: Log, metrics: Deps["metrics"]): Observe {
  return {
    bytes: ({ kind, host }, bytes) =>
      metrics.countBytes(kind === "upstream" ? "upstream" : { mirror: host }, bytes),
    retry: (retry) => log.warn("A request to a registry failed and is made again", retry),
    deadMirror: (host, why) =>
      log.warn("A mirror does not answer and is passed by for a while", { host, why }),
  };
}
