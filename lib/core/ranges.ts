// Which bytes of a blob are asked for in which request.

/** Bytes from `start` up to, not including, `end`. */
export type Range = { readonly start: number; readonly end: number };

/**
 * What is missing, in order and without overlap, in pieces of at most `rangeBytes` that end at its multiples,
 * so that a pull that is taken up again asks for the same pieces.
 */
export function planRanges(missing: readonly Range[], rangeBytes: number): readonly Range[] {
  return mergeRanges(missing).flatMap(({ start, end }) => {
    const pieces: Range[] = [];
    for (let at = start; at < end; ) {
      const next = Math.min(end, (Math.floor(at / rangeBytes) + 1) * rangeBytes);
      pieces.push({ start: at, end: next });
      at = next;
    }
    return pieces;
  });
}

/** The same bytes in the fewest ranges, in order; empty ones dropped. */
export function mergeRanges(ranges: readonly Range[]): readonly Range[] {
  const merged: Range[] = [];
  for (const range of ranges.filter(({ start, end }) => start < end).sort((a, b) => a.start - b.start)) {
    const last = merged.at(-1);
    if (last === undefined || range.start > last.end) merged.push(range);
    else merged[merged.length - 1] = { start: last.start, end: Math.max(last.end, range.end) };
  }
  return merged;
}
