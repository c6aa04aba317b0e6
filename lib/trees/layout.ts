// Where everything of the store lies: every path under the root is made here.
import { createHash } from "node:crypto";
import path from "node:path";
import { type Digest, hexOf } from "../core/digest.ts";

/** The name of a file that stands for several words of any kind. */
function nameOf(...words: readonly string[]): string {
  return createHash("sha256").update(JSON.stringify(words)).digest("hex");
}

/**
 * By registry too: bytes that one registry sent never count as another's, nor a mirror's as `proof`.
 * The `again`th of that name, where others are taken: each has one writer.
 */
export function partialName(blob: { registry: string; digest: Digest; isProof: boolean }, again = 1): string {
  const { registry, digest, isProof } = blob;
  return nameOf(registry, digest, isProof ? "proof" : "", String(again));
}

export class Layout {
  readonly layers: string;
  readonly trees: string;
  readonly tags: string;
  readonly partials: string;
  readonly ingest: string;
  readonly trash: string;

  readonly root: string;

  constructor(root: string) {
    this.root = root;
    this.layers = path.join(root, "layers");
    this.trees = path.join(root, "trees");
    this.tags = path.join(root, "tags");
    this.partials = path.join(root, "partials");
    this.ingest = path.join(root, "ingest");
    this.trash = path.join(root, "trash");
  }

  get directories(): readonly string[] {
    return [this.layers, this.trees, this.tags, this.partials, this.ingest, this.trash];
  }

  layer(id: Digest): string {
    return path.join(this.layers, hexOf(id));
  }

  /** What is mounted of a Layer. */
  content(id: Digest): string {
    return path.join(this.layer(id), "fs");
  }

  layerRecord(id: Digest): string {
    return path.join(this.layer(id), "layer.json");
  }

  treeRecord(key: Digest): string {
    return path.join(this.trees, `${hexOf(key)}.json`);
  }

  tagRecord(registry: string, repository: string, tag: string): string {
    return path.join(this.tags, `${nameOf(registry, repository, tag)}.json`);
  }

  partial(name: string): string {
    return path.join(this.partials, name);
  }
}
