// What tests push: versions of a Cache of small files, and the real ORAS CLI under a clock that only tests move.
import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { tool } from "../../../testing/tool.ts";
import type { Access } from "../../core/access.ts";
import { type Digest, digestOf } from "../../core/digest.ts";
import { openProcesses } from "../../host/processes.linux.ts";
import { openOras } from "../oras.ts";
import type { Key, OwnBlob, PushDeps, Version } from "../version.ts";
import { Rig } from "./rig.ts";

const TIME = "dev.larder.cache.time";
const TAINTED = "dev.larder.cache.tainted";
const LAYER = "application/vnd.oci.image.layer.v1.tar+zstd";
export const IMAGE = "application/vnd.oci.image.manifest.v1+json";

export type Draft = {
  readonly time: number;
  readonly texts: readonly string[];
  readonly base?: Version["base"];
  readonly tainted?: boolean;
};

export class PushKit implements AsyncDisposable {
  readonly rig = new Rig();
  readonly deps: PushDeps;
  readonly #folder: string;

  constructor(folder: string, program: string) {
    this.#folder = folder;
    const oras = openOras({ processes: openProcesses(), program, attempts: path.join(folder, "attempts") });
    this.deps = { ...this.rig.patience, oras, upstream: this.rig.reader };
  }

  /** A version of the key `k`: a layer for each text, over the base. */
  async version(
    access: Access,
    draft: Draft,
  ): Promise<Version & { readonly key: Key; readonly digest: Digest }> {
    const base = draft.base ?? { layers: [] };
    const layers = await Promise.all(draft.texts.map(async (text) => await this.#layer(text)));
    const config = Buffer.from(JSON.stringify({ rootfs: { type: "layers", texts: draft.texts } }));
    const describe = ({ digest, size }: { digest: Digest; size: number }, mediaType: string) => ({
      mediaType,
      digest,
      size,
    });
    const bytes = Buffer.from(
      JSON.stringify({
        schemaVersion: 2,
        mediaType: IMAGE,
        config: describe(
          { digest: digestOf(config), size: config.length },
          "application/vnd.oci.image.config.v1+json",
        ),
        layers: [...base.layers, ...layers].map((layer) => describe(layer, LAYER)),
        annotations: { [TIME]: String(draft.time), [TAINTED]: String(draft.tainted === true) },
      }),
    );
    const manifest = { bytes, mediaType: IMAGE };
    const digest = digestOf(bytes);
    return {
      access,
      base,
      layers,
      config,
      manifest,
      digest,
      tag: `k.${draft.time}.id`,
      key: keyOf(draft.time),
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

function keyOf(time: number): Key {
  const timeOf = (tag: string) => Number(/^k\.(\d+)\.id$/.exec(tag)?.[1] ?? 0);
  return {
    tag: "k",
    newerTags: (tags) =>
      tags.filter((tag) => timeOf(tag) > time).toSorted((one, other) => timeOf(other) - timeOf(one)),
    isNewer: ({ annotations }) =>
      Number(annotations.get(TIME) ?? 0) > time && annotations.get(TAINTED) === "false",
  };
}
