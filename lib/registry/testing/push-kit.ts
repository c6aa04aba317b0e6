// What tests push: versions of a Cache of small files, and the real ORAS CLI under a clock that only tests move.
import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { tool } from "../../../testing/tool.ts";
import type { Access } from "../../core/access.ts";
import { versionTag } from "../../core/cache-key.ts";
import { composeVersion } from "../../core/cache-manifest.ts";
import { type Digest, digestOf } from "../../core/digest.ts";
import { contestKey, isSameVersion } from "../../core/key-contest.ts";
import { openProcesses } from "../../host/processes.linux.ts";
import { openOras } from "../open-oras.ts";
import { openOrasReach } from "../oras-reach.ts";
import type { Key, OwnBlob, PushDeps, VersionPush } from "../version-push.ts";
import { Rig } from "./rig.ts";

export const IMAGE = "application/vnd.oci.image.manifest.v1+json";

/** The tag of the version of the key `k` that was committed at `time`. */
export const tagOf = (time: number) => versionTag("k", { timeMs: 1.7e12 + time, id: "id" });

export type Draft = {
  readonly time: number;
  readonly texts: readonly string[];
  readonly base?: VersionPush["base"];
  readonly isKeyless?: boolean;
};

export class PushKit implements AsyncDisposable {
  readonly rig = new Rig();
  readonly deps: PushDeps;
  readonly #folder: string;

  constructor(folder: string, program: string) {
    this.#folder = folder;
    const attempts = path.join(folder, "attempts");
    const reach = openOrasReach(this.rig.hosts);
    const oras = openOras({ processes: openProcesses(), program, attempts, ...reach });
    this.deps = { ...this.rig.patience, oras, upstream: this.rig.reader };
  }

  /** A version of the key `k`: a layer for each text, over the base. */
  async version(
    access: Access,
    draft: Draft,
  ): Promise<VersionPush & { readonly key: Key; readonly digest: Digest }> {
    const base = draft.base ?? { layers: [] };
    const layers = await Promise.all(draft.texts.map(async (text) => await this.#layer(text)));
    const own = { timeMs: 1.7e12 + draft.time, id: "id" };
    const parts = [...base.layers, ...layers].map(({ digest, size }) => ({
      mediaType: "application/vnd.oci.image.layer.v1.tar+zstd",
      digest,
      size,
      diffId: digest,
      isWritten: true,
    }));
    const { config, manifest } = composeVersion({
      key: "k",
      version: own,
      bytes: parts.reduce((sum, { size }) => sum + size, 0),
      isKeyless: draft.isKeyless === true,
      platform: { os: "linux", architecture: "amd64" },
      layers: parts,
    });
    const { digest } = manifest;
    return {
      access,
      base,
      layers,
      config,
      manifest,
      digest,
      tag: tagOf(draft.time),
      key: contestKey("k", own),
      isSame: (manifest) => isSameVersion(manifest, "k", own),
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.rig[Symbol.asyncDispose]();
    const left = await readdir(path.join(this.#folder, "attempts")).catch(() => []);
    await rm(this.#folder, { recursive: true });
    if (left.length > 0) throw new Error(`attempts were left: ${left.join(", ")}`);
  }

  async #layer(text: string): Promise<OwnBlob> {
    const digest = digestOf(text);
    const content = path.join(this.#folder, digest);
    await writeFile(content, text);
    return { digest, size: Buffer.byteLength(text), content };
  }
}

export async function openPushKit(): Promise<PushKit> {
  return new PushKit(await mkdtemp(path.join(os.tmpdir(), "larder-push-")), await tool("oras"));
}
