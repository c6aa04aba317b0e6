// Carries the bytes of one answer to where they are wanted, and holds the answer to its length.
import type { Range } from "../core/ranges.ts";
import { Fault, TRIES } from "./fault.ts";
import { Gatherer, type GathererDeps } from "./gatherer.ts";
import { networkFault } from "./network-faults.ts";
import type { Opened } from "./open-range.ts";

/**
 * Resolves when every byte of `wanted` (in order) is written and the answer ended where it should.
 * `written` is called after each write. On a Fault all that arrived before it is written.
 */
export async function pour(
  opened: Opened,
  wanted: readonly Range[],
  deps: GathererDeps & { readonly written: (range: Range) => void },
): Promise<void> {
  const write = async (offset: number, chunk: Uint8Array) => {
    const range = { start: offset, end: offset + chunk.length };
    await deps.write(offset, chunk);
    deps.written(range);
  };
  await using gatherer = new Gatherer({ take: deps.take, write });
  try {
    const fault = await carry(opened, wanted, gatherer);
    await gatherer.flush();
    if (fault !== undefined) throw fault;
  } finally {
    // Lets go of what was not wanted any more; after the end of the answer it does nothing.
    opened.incoming.abort(new Error("not wanted any more"));
  }
}

async function carry(
  opened: Opened,
  wanted: readonly Range[],
  gatherer: Gatherer,
): Promise<Fault | undefined> {
  const rest = [...wanted];
  for (let at = opened.start; rest.length > 0 || at === opened.end; ) {
    const chunk = await nextOf(opened);
    if (chunk instanceof Fault) return chunk;
    if (chunk === undefined) return at === opened.end ? undefined : wrongLength(opened, "fewer");
    const end = at + chunk.length;
    if (end > opened.end) return wrongLength(opened, "more");
    for (let range = rest[0]; range !== undefined && range.start < end; range = rest[0]) {
      const [from, to] = [Math.max(range.start, at), Math.min(range.end, end)];
      await gatherer.put(from, chunk.subarray(from - at, to - at));
      if (to < range.end) rest[0] = { start: to, end: range.end };
      else rest.shift();
      if (to === end) break;
    }
    at = end;
  }
  return undefined;
}

async function nextOf(opened: Opened): Promise<Buffer | undefined | Fault> {
  try {
    return await opened.incoming.read();
  } catch (error) {
    const fault = networkFault(opened.who, error);
    if (fault === undefined) throw error;
    return fault;
  }
}

function wrongLength({ who, start, end }: Opened, which: "more" | "fewer"): Fault {
  return new Fault("corrupt", `${who} sent ${which} than the ${end - start} bytes that were due`, {
    tries: TRIES.nonsense,
  });
}
