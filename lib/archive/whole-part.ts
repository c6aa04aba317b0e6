// Tells whether an archive that was packed earlier is still the one it was.
import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import type { PackedPart } from "./packed-part.ts";

const CHUNK_BYTES = 1 << 20;

/** By all of its bytes. What cannot be read is not whole: it can be packed again. */
export async function isWholePart({
  path,
  digest,
  size,
}: Pick<PackedPart, "path" | "digest" | "size">): Promise<boolean> {
  const hash = createHash("sha256");
  let bytes = 0;
  try {
    for await (const chunk of createReadStream(path, { highWaterMark: CHUNK_BYTES })) {
      bytes += (chunk as Uint8Array).length;
      if (bytes > size) return false;
      hash.update(chunk as Uint8Array);
    }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === undefined) throw error;
    return false;
  }
  return bytes === size && `sha256:${hash.digest("hex")}` === digest;
}
