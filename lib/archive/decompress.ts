// Takes the compression off a stream, and refuses one that is cut, broken, or followed by something else.
import { once } from "node:events";
import zlib from "node:zlib";
import { Failure } from "../core/failure.ts";
import type { Compression } from "../core/layer-plan.ts";

/** Node's 16 KiB make gunzip four times slower. */
const CHUNK_BYTES = 1 << 20;
/** So that the next chunk is decompressed, on a thread of libuv's, while this one is unpacked here. */
const AHEAD_BYTES = 2 * CHUNK_BYTES;
/** Of zstd: 128 MiB, what its own tool takes without being told to. */
const WINDOW_LOG = 27;

type Engine = zlib.Gunzip | zlib.ZstdDecompress;

/** In chunks of up to 1 MiB. All of `source` is read. Failures: invalid, unsupported, unavailable, the source's own. */
export async function* decompress(
  source: AsyncIterable<Buffer>,
  compression: Compression,
): AsyncGenerator<Buffer, void, void> {
  if (compression === "none") yield* source;
  else yield* through(source, compression);
}

async function* through(
  source: AsyncIterable<Buffer>,
  compression: "gzip" | "zstd",
): AsyncGenerator<Buffer, void, void> {
  const engine = open(compression);
  const pumping = pump(source, engine);
  // Awaited below; until then a rejection is seen through the destroyed engine.
  pumping.catch((error: Error) => engine.destroy(error));
  try {
    for await (const chunk of engine) yield chunk as Buffer;
  } catch (error) {
    throw toFailure(error, compression);
  } finally {
    engine.destroy();
  }
  await pumping;
}

function open(compression: "gzip" | "zstd"): Engine {
  const options = { chunkSize: CHUNK_BYTES, readableHighWaterMark: AHEAD_BYTES };
  if (compression === "gzip") return zlib.createGunzip(options);
  return zlib.createZstdDecompress({
    ...options,
    params: { [zlib.constants.ZSTD_d_windowLogMax]: WINDOW_LOG },
  });
}

/** Feeds the engine; once that has reached its end, what follows may only be padding. */
async function pump(source: AsyncIterable<Buffer>, engine: Engine): Promise<void> {
  const stopped = new AbortController();
  const atEnd = Promise.race([once(engine, "end", stopped), once(engine, "close", stopped)]);
  atEnd.catch(() => {});
  let fed = 0;
  let last: Buffer = Buffer.alloc(0);
  try {
    for await (const chunk of source) {
      if (engine.readableEnded) {
        refuseGarbage(chunk);
        continue;
      }
      if (engine.destroyed) return;
      fed += chunk.length;
      last = chunk;
      if (!engine.write(chunk)) await Promise.race([once(engine, "drain", stopped), atEnd]);
      if (engine.readableEnded) refuseGarbage(last.subarray(last.length - (fed - engine.bytesWritten)));
    }
    if (!engine.readableEnded && !engine.destroyed) {
      engine.end();
      await atEnd;
      if (fed > engine.bytesWritten) refuseGarbage(last.subarray(last.length - (fed - engine.bytesWritten)));
    }
  } finally {
    stopped.abort();
  }
}

/** Tape tools pad with zeros, and gunzip lets that pass. */
function refuseGarbage(bytes: Buffer): void {
  if (bytes.every((byte) => byte === 0)) return;
  throw new Failure(
    "invalid",
    "something that is not part of it follows the end of its compressed stream; push it again",
  );
}

function toFailure(error: unknown, compression: Compression): unknown {
  const { code = "", message } = error as NodeJS.ErrnoException;
  if (code === "ZSTD_error_frameParameter_windowTooLarge")
    return new Failure(
      "unsupported",
      "its zstd window is larger than 128 MiB; compress it without --long or --ultra",
      {
        cause: error,
      },
    );
  if (code === "Z_MEM_ERROR" || code === "ZSTD_error_memory_allocation")
    return new Failure("unavailable", "the node has no memory left to decompress it; try again", {
      cause: error,
    });
  if (!code.startsWith("Z_") && !code.startsWith("ZSTD_")) return error;
  return new Failure(
    "invalid",
    `its ${compression} stream is broken (${message.toLowerCase()}); push it again`,
    {
      cause: error,
    },
  );
}
