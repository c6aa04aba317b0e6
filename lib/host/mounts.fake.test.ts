import { lstatSync, mkdtempSync, realpathSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { encodePath } from "../core/path-bytes.ts";
import { mountsContract } from "./mounts.contract.ts";
import { MemoryMounts, type Place } from "./mounts.fake.ts";

function placeOf(at: string): Place | undefined {
  const stat = statOf(at);
  if (stat === undefined) return undefined;
  const real = path.join(realpathSync(path.dirname(at)), path.basename(at));
  if (stat.isSymbolicLink()) return { kind: "symlink", real };
  return { kind: stat.isDirectory() ? "directory" : "file", real };
}

function statOf(at: string) {
  try {
    return lstatSync(Buffer.from(encodePath(at)));
  } catch {
    return undefined;
  }
}

mountsContract("MemoryMounts", async () => {
  const root = mkdtempSync(path.join(os.tmpdir(), "larder-mounts-"));
  const mounts = new MemoryMounts(placeOf);
  return {
    mounts,
    root,
    hold: (target) => mounts.hold(target),
    [Symbol.asyncDispose]: async () => rmSync(root, { recursive: true }),
  };
});
