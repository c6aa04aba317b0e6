// A Tree as this node keeps it: which Layers it is made of, and which registries its manifest came from.
import { type Digest, parseDigest } from "../core/digest.ts";

export type Tree = {
  /** What it is named by: the manifest's digest and what was taken of it. */
  readonly key: Digest;
  /** What the Reference meant: of an index, the index's digest. */
  readonly digest: Digest;
  /** Bottom first; one assembled Layer alone where the layout asks for it. */
  readonly layers: readonly Digest[];
  readonly notes: readonly string[];
  readonly sources: readonly string[];
  /** It was pushed from here: what it shows is what its manifest has in those registries, whatever Layers show it. */
  readonly isPushed?: true;
};

/** The Tree that `text` records, or undefined when it is none. */
export function parseTree(text: string, key: Digest): Tree | undefined {
  try {
    const tree = JSON.parse(text) as Tree & { version: number };
    if (tree.version !== 1 || tree.key !== key) return undefined;
    for (const digest of [tree.digest, ...tree.layers]) parseDigest(digest);
    const { version: _, ...rest } = tree;
    return Array.isArray(tree.sources) && Array.isArray(tree.notes) ? rest : undefined;
  } catch {
    return undefined;
  }
}

export function formatTree(tree: Tree): string {
  return `${JSON.stringify({ version: 1, ...tree })}\n`;
}
