// The outside world, made once: every implementation of every port.
import { readFile } from "node:fs/promises";
import { availableParallelism } from "node:os";
import path from "node:path";
import { setTimeout } from "node:timers/promises";
import { openUnpacker } from "../lib/archive/open-unpacker.ts";
import { openPacker } from "../lib/archive/packer.ts";
import { openTrimmer } from "../lib/archive/trimmer.ts";
import type { BlockingThreads } from "../lib/host/blocking.ts";
import { LinuxFiles } from "../lib/host/files.linux.ts";
import type { Log } from "../lib/host/log.ts";
import { LinuxLoopDevices } from "../lib/host/loop-devices.linux.ts";
import { PrometheusMetrics } from "../lib/host/metrics.ts";
import { LinuxMounts } from "../lib/host/mounts.linux.ts";
import { LinuxPools } from "../lib/host/pool.linux.ts";
import { openProcesses } from "../lib/host/processes.linux.ts";
import { linuxQuotas } from "../lib/host/quotas.linux.ts";
import { openRemover } from "../lib/host/remover.ts";
import { linuxSelinux } from "../lib/host/selinux.ts";
import { readTextFile } from "../lib/host/text-file.ts";
import { type KeyringSettings, openKeyring } from "../lib/registry/keyring.ts";
import { parseCredentialProviders } from "../lib/settings/credential-providers.ts";
import type { NodeSettings } from "../lib/settings/node.ts";
import type { Clock } from "../lib/volumes/patience.ts";
import type { Ports } from "./ports.ts";
import { openRegistries } from "./registries.ts";

const clock: Clock = {
  now: Date.now,
  pause: async (ms, signal) => {
    // A timer beyond this would fire at once; a caller that patient comes back anyway.
    await setTimeout(Math.min(ms, 2 ** 31 - 1), undefined, { signal, ref: false }).catch(() => undefined);
  },
};

function every(log: Log) {
  return (ms: number, work: () => Promise<void>): Disposable => {
    const tick = () => void work().catch((error: unknown) => log.error("Cannot tend the store", { error }));
    const timer = setInterval(tick, ms).unref();
    return { [Symbol.dispose]: () => clearInterval(timer) };
  };
}

type Environment = Readonly<Record<string, string | undefined>>;

/** What programs that we start may know of our environment: where things are, and how to get out. */
function environmentForPrograms(environment: Environment): Readonly<Record<string, string>> {
  const names = ["PATH", "HOME", "HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR"];
  return Object.fromEntries(
    names.flatMap((name) => {
      const value = environment[name];
      return value === undefined ? [] : [[name, value]];
    }),
  );
}

async function providersOf(
  { credentialProviders }: NodeSettings,
  log: Log,
): Promise<Partial<KeyringSettings>> {
  if (credentialProviders === undefined) return {};
  const { config, binDirectory } = credentialProviders;
  const { providers, leftOut } = parseCredentialProviders(
    await readTextFile(config, "credentialProviders.config"),
  );
  if (leftOut.length > 0)
    log.warn("Credential providers that want a pod's token are left out: only the kubelet can ask for one", {
      leftOut,
    });
  return { credentialProviders: { providers, binDirectory } };
}

/** What threads wait in `blocking` is waiting for the kernel. */
export async function openOutside(
  settings: NodeSettings,
  log: Log,
  blocking: BlockingThreads,
  environment: Environment,
): Promise<Ports> {
  const metrics = new PrometheusMetrics();
  const processes = openProcesses();
  const mounts = new LinuxMounts(blocking);
  const pooling = { loops: new LinuxLoopDevices(), quotas: linuxQuotas, processes };
  const env = environmentForPrograms(environment);
  const keyring = openKeyring(
    {
      processes,
      attempts: path.join(settings.root, "attempts"),
      env,
      now: Date.now,
      readText: (file) => readFile(file, "utf8"),
    },
    { registries: settings.registries, ...(await providersOf(settings, log)) },
  );
  return {
    files: new LinuxFiles(blocking),
    mounts,
    quotas: linuxQuotas,
    pools: new LinuxPools({ ...pooling, mounts }),
    selinux: linuxSelinux(),
    log,
    metrics,
    ...openRegistries(settings, { log, metrics, processes, env }),
    keyring,
    unpacker: openUnpacker({ threads: settings.pull.threads ?? Math.min(4, availableParallelism()) }),
    packer: openPacker({ threads: Math.min(2, availableParallelism()) }),
    trimmer: openTrimmer(),
    remover: openRemover(),
    clock,
    platform: { os: "linux", architecture: process.arch === "x64" ? "amd64" : process.arch },
    every: every(log),
  };
}
