// Has the bytes of one answer put where they are wanted, and makes a Fault of one that is not what it said it was.
import type { Range } from "../core/ranges.ts";
import { Fault, MEND_THERE, TRIES } from "./fault.ts";
import { networkFault } from "./network-faults.ts";
import type { Opened } from "./open-range.ts";
import type { BlobSink } from "./reader.ts";

type Pour = {
  /** In order. */
  readonly wanted: readonly Range[];
  readonly sink: Pick<BlobSink, "into"> & { wrote(range: Range, digest: string | undefined): Promise<void> };
  readonly hashes: boolean;
};

/**
 * Resolves when every byte that is wanted is in its place, the sink knows, and the answer ended where it should. On a
 * Fault the sink knows all that arrived before it; after an error of the sink's own nothing is written any more.
 */
export async function pour(opened: Opened, { wanted, sink, hashes }: Pour): Promise<void> {
  const { incoming, who, start, end } = opened;
  let knows = Promise.resolve();
  const told = (range: Range, digest: string | undefined) => {
    knows = knows.then(async () => await sink.wrote(range, digest));
    // Thrown below, once nothing is written any more.
    knows.catch(() => incoming.abort());
  };
  const pouring = incoming.pour({ start, end, wanted, hashes, into: sink.into }, told);
  // Whatever ended it, what the sink says of what it was told comes first.
  await Promise.allSettled([pouring]);
  await knows;
  const outcome = await pouring;
  if ("broken" in outcome) throw networkFault(who, outcome.broken) ?? outcome.broken;
  if (outcome.ending === "whole") return;
  throw new Fault("corrupt", `${who} sent ${outcome.ending} than the ${end - start} bytes that were due`, {
    tries: TRIES.nonsense,
    help: MEND_THERE,
  });
}
