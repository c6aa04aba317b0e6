// Trees of files as package managers leave them: thousands of folders, sizes from nothing to megabytes.
import { cut, type Pools, seeded } from "./content.ts";
import { tarDirectory, tarEnd, tarFile } from "./tar.ts";

export type TreeShape = {
  readonly seed: number;
  /** The folder that all of it lies in; "" for none. */
  readonly top: string;
  readonly files: number;
  readonly bytes: number;
};

const LARGEST = 8 << 20;
const FOLDERS = ["", "lib", "dist", "dist/esm", "src", "src/internal", "test"] as const;
const ENDINGS = ["js", "d.ts", "json", "md", "map", "mjs"] as const;
const FILES_PER_PACKAGE = 54;

/** The tree as tar, in pieces. */
export function* tarOf(shape: TreeShape, pools: Pools): Generator<Buffer> {
  const random = seeded(shape.seed);
  const sizes = makeSizes(shape, random);
  const made = new Set<string>();
  for (const [index, bytes] of sizes.entries()) {
    const folder = folderOf(shape, index);
    for (const parent of parentsOf(folder)) {
      if (made.has(parent)) continue;
      made.add(parent);
      yield tarDirectory(parent);
    }
    const ending = ENDINGS[index % ENDINGS.length];
    yield* tarFile(`${folder}/file-${index}.${ending}`, cut(pools, random, bytes));
  }
  yield tarEnd();
}

function folderOf(shape: TreeShape, index: number): string {
  const pack = `package-${shape.seed}-${Math.floor(index / FILES_PER_PACKAGE)}`;
  const inner = FOLDERS[Math.floor((index % FILES_PER_PACKAGE) / (FILES_PER_PACKAGE / FOLDERS.length))] ?? "";
  return [shape.top, pack, inner].filter((part) => part !== "").join("/");
}

function parentsOf(folder: string): string[] {
  const parts = folder.split("/");
  return parts.map((_, index) => parts.slice(0, index + 1).join("/"));
}

/** Log-normal, as file sizes are, and scaled so that they add up to about what was asked for. */
function makeSizes(shape: TreeShape, random: () => number): number[] {
  const normal = () => Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
  const raw = Array.from({ length: shape.files }, () => Math.exp(1.6 * normal()));
  const scale = shape.bytes / raw.reduce((sum, size) => sum + size, 0);
  return raw.map((size) => Math.min(LARGEST, Math.floor(size * scale)));
}
