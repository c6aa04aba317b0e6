// A copy holds all of its base, under its limit: what is said where the base is larger.
import { Failure, isFailure } from "../core/failure.ts";
import { formatBytes } from "../core/quantity.ts";
import type { Files } from "../host/files.ts";

export type Copied = {
  readonly volumeId: string;
  readonly layout: "overlay" | "copy";
  /** What the layers of the base take, each for itself: files that others replace are counted twice. */
  readonly baseBytes: number;
  /** The volume's limit. */
  readonly bytes: number;
};

/** What `fill` made is there. Throws `out-of-range` with both sizes where a copy of the base met the volume's limit. */
export async function fitting(
  { files, root }: { readonly files: Pick<Files, "statFilesystem">; readonly root: string },
  { volumeId, layout, baseBytes, bytes }: Copied,
  fill: () => Promise<void>,
): Promise<void> {
  try {
    await fill();
  } catch (error) {
    // A disk that is full is another matter, and the same error.
    const isDisk = async () => (await files.statFilesystem(root)).bytesFree < baseBytes;
    if (layout !== "copy" || !isFailure(error, "full") || (await isDisk())) throw error;
    const sizes = `it starts from ${formatBytes(baseBytes)}, and holds at most ${formatBytes(bytes)}`;
    throw new Failure(
      "out-of-range",
      `Cannot copy its base into the volume "${volumeId}": ${sizes}; make it larger (its "inodes" too, for many small files), or use layout: overlay, where the base takes no room`,
      { cause: error },
    );
  }
}
