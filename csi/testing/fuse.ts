// A fuse: lets the process have so many effects and then kills it, as a crash would, with no chance to clear up.
import { closeSync, openSync, readFileSync, writeSync } from "node:fs";
import type { Ports } from "../ports.ts";

/** What a fuse file says; tests write it at any time, and a file that is not there kills nobody. */
type Fuse = {
  /** How many effects there may still be. */
  readonly left: number;
  /** Which effects count, as a regular expression; by default all that a kill can tell from the one before. */
  readonly only?: string;
};

/** Passed before each effect: kills this process when no more are left to it. */
export type Burn = (effect: string) => void;

export function openFuse(file: string): Burn {
  return (effect) => {
    const fd = openFile(file);
    if (fd === undefined) return;
    try {
      burnOne(fd, effect);
    } finally {
      closeSync(fd);
    }
  };
}

/** In the file as it was opened, never in a new one: a test may take it away meanwhile, or put another in its place. */
function burnOne(fd: number, effect: string): void {
  const text = readFileSync(fd, "utf8");
  const fuse = JSON.parse(text) as Fuse;
  if (fuse.only === undefined ? syncs.includes(effect) : !new RegExp(fuse.only).test(effect)) return;
  if (fuse.left <= 0) process.kill(process.pid, "SIGKILL");
  writeSync(fd, JSON.stringify({ ...fuse, left: fuse.left - 1 }).padEnd(text.length), 0);
}

function openFile(file: string): number | undefined {
  try {
    return openSync(file, "r+");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}

/** What only a loss of power can tell from the effect before. */
const syncs = ["syncDirectory"];

const fileEffects = [
  ...syncs,
  "writeAtomically",
  "rename",
  "makeDirectory",
  "removeFile",
  "removeEmptyDirectory",
  "syncFilesystem",
  "touch",
  "removeLeftovers",
];

/** The same outside world, each of whose effects burns the fuse: before it begins, so that the one before is done. */
export function wrapWithFuse(outside: Ports, burn: Burn): Ports {
  return {
    ...outside,
    files: burning(outside.files, fileEffects, burn),
    mounts: burning(outside.mounts, ["bind", "overlay", "unmount"], burn),
    quotas: burning(outside.quotas, ["setProject", "setLimits", "clearLimits"], burn),
    unpacker: burning(outside.unpacker, ["unpack", "verify"], burn),
    packer: burning(outside.packer, ["packDelta", "packMerged"], burn),
    trimmer: burning(outside.trimmer, ["trim"], burn),
    onStep: async (step) => burn(step),
    onPushStep: async (step) => burn(`push ${step}`),
  };
}

function burning<Port extends object>(port: Port, effects: readonly string[], burn: Burn): Port {
  return new Proxy(port, {
    get: (target, name) => {
      const method = target[name as keyof Port];
      if (typeof method !== "function") return method;
      const bound = method.bind(target) as (...args: unknown[]) => unknown;
      if (!effects.includes(String(name))) return bound;
      return (...args: unknown[]) => {
        burn(String(name));
        return bound(...args);
      };
    },
  });
}
