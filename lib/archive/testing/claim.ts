// A claim as its pods see it: an overlay over layers, to be changed, packed, and brought back.
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import fs from "node:fs";
import { Directory } from "../../host/directory.ts";
import { listXattrs, readXattr } from "../../host/xattrs.ts";
import { type DeltaJob, type PackedDelta, packDelta } from "../pack-delta.ts";
import { settleLayer } from "../settle.ts";
import { trimLayer } from "../trim-layer.ts";
import type { Scratch } from "./scratch.ts";

const OVERLAY_OPTIONS = "redirect_dir=off,metacopy=off,index=off";

export class Claim {
  readonly scratch: Scratch;
  /** Topmost first. */
  readonly below: readonly string[];
  readonly upper: string;
  readonly #work: string;

  constructor(scratch: Scratch, below: readonly string[]) {
    this.scratch = scratch;
    this.below = below.length > 0 ? below : [scratch.directory()];
    this.upper = scratch.directory();
    fs.chmodSync(this.upper, 0o755);
    this.#work = scratch.directory();
  }

  /** Runs `script` in a shell whose directory is the mounted claim. */
  run(script: string): this {
    return this.use((at) =>
      execFileSync("bash", ["-euc", script], { cwd: at, stdio: ["ignore", "pipe", "inherit"] }),
    );
  }

  use(act: (at: string) => void): this {
    const at = this.scratch.directory();
    const lower = this.below.join(":");
    const options = `lowerdir=${lower},upperdir=${this.upper},workdir=${this.#work},${OVERLAY_OPTIONS}`;
    execFileSync("mount", ["-t", "overlay", "-o", options, "none", at]);
    try {
      act(at);
    } finally {
      execFileSync("umount", [at]);
    }
    return this;
  }

  async pack(more: Partial<DeltaJob> = {}): Promise<PackedDelta & { readonly directory: string }> {
    const directory = this.scratch.directory();
    const job: DeltaJob = {
      upper: this.upper,
      below: this.below,
      kind: "overlay",
      compare: "content",
      directory,
      compression: "zstd",
      layerMax: 5 * 2 ** 30,
      ...more,
    };
    return { ...(await packDelta(job)), directory };
  }

  /** What another node makes of the parts: its layers, topmost first. */
  async bring(packed: PackedDelta, below: readonly string[] = this.below): Promise<string[]> {
    const layers = [...below];
    for (const { path: blob, diffId } of packed.parts) {
      const made = await this.scratch.unpack(fs.readFileSync(blob), { compression: "zstd", diffId });
      await settleLayer(made.at, layers, made.unsettled);
      layers.unshift(made.at);
    }
    return layers;
  }

  trim(packed: { readonly directory: string }, isHasty = () => false): boolean {
    return trimLayer(this.upper, packed.directory, { isBegun: true, isHasty });
  }
}

/** Everything that an overlay of the layers shows, topmost first. */
export function shownBy(
  scratch: Scratch,
  layers: readonly string[],
  rule: "content" | "exact",
): Record<string, string> {
  const at = scratch.directory();
  const lower = layers.length > 1 ? layers : [...layers, scratch.directory()];
  const options = `ro,lowerdir=${lower.join(":")},${OVERLAY_OPTIONS}`;
  execFileSync("mount", ["-t", "overlay", "-o", options, "none", at]);
  try {
    return factsOf(at, rule);
  } finally {
    execFileSync("umount", [at]);
  }
}

/** All that one may ask of a tree; under `content`, times of files that may be either side's are left out. */
function factsOf(top: string, rule: "content" | "exact"): Record<string, string> {
  const facts: Record<string, string> = {};
  const names = new Map<string, string>();
  const walk = (directory: Directory, prefix: string) => {
    for (const name of ["", ...directory.list().sort()]) {
      if (name === "" && prefix !== "") continue;
      const place = { directory, name: name === "" ? "." : name };
      const status = name === "" ? directory.ownStatus() : directory.find(name);
      // Overlayfs lists a whiteout in a directory that it merges with nothing.
      if (status === undefined) continue;
      const { type, mode, uid, gid, size, mtime, inode, links } = status;
      const shown = [type, mode.toString(8), uid, gid];
      if (type === "file") shown.push(size, digestAt(place.directory, name));
      if (type === "symlink") shown.push(directory.readLink(name));
      if (rule === "exact") shown.push(`${mtime.seconds}.${mtime.nanoseconds}`);
      const own = listXattrs(place).filter((key) => !key.startsWith("trusted."));
      for (const key of own) shown.push(`${key}=${readXattr(place, key)?.toString("hex")}`);
      if (type === "file" && links > 1 && names.has(inode)) shown.push(`same as ${names.get(inode)}`);
      if (!names.has(inode)) names.set(inode, prefix + name);
      facts[prefix + name] = shown.join(" ");
      if (type !== "directory" || name === "") continue;
      using below = directory.enter(name);
      walk(below, `${prefix}${name}/`);
    }
  };
  using directory = Directory.open(top);
  walk(directory, "");
  return facts;
}

function digestAt(directory: Directory, name: string): string {
  const fd = directory.openFile(name);
  try {
    const hash = createHash("sha256");
    const chunk = Buffer.alloc(1 << 20);
    for (let length = -1; length !== 0; ) {
      length = fs.readSync(fd, chunk);
      hash.update(chunk.subarray(0, length));
    }
    return hash.digest("hex").slice(0, 12);
  } finally {
    fs.closeSync(fd);
  }
}

/** What an archive holds, as GNU tar lists it. */
export function listed(part: string): string[] {
  const out = execFileSync("tar", ["--zstd", "-tf", part], {
    encoding: "utf8",
    env: { ...process.env, LC_ALL: "C" },
  });
  return out.split("\n").filter(Boolean);
}
