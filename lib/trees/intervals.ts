// Which stretches of a blob are written: kept sorted and merged, so that a few entries say it all.
import type { Range } from "../core/ranges.ts";

export class Intervals {
  #held: Range[] = [];

  /** Adds the bytes of `range` and returns the whole stretch they now belong to. */
  add(range: Range): Range {
    if (range.start >= range.end) return range;
    let { start, end } = range;
    const apart: Range[] = [];
    for (const held of this.#held) {
      if (held.end < start || held.start > end) {
        apart.push(held);
        continue;
      }
      start = Math.min(start, held.start);
      end = Math.max(end, held.end);
    }
    const merged = { start, end };
    this.#held = [...apart, merged].sort((a, b) => a.start - b.start);
    return merged;
  }

  /** How many bytes are written from the first one on without a gap. */
  get contiguous(): number {
    const first = this.#held[0];
    return first?.start === 0 ? first.end : 0;
  }

  get total(): number {
    return this.#held.reduce((sum, { start, end }) => sum + end - start, 0);
  }

  /** The gaps up to `size`. */
  missing(size: number): Range[] {
    const gaps: Range[] = [];
    let at = 0;
    for (const { start, end } of this.#held) {
      if (start > at) gaps.push({ start: at, end: start });
      at = end;
    }
    if (at < size) gaps.push({ start: at, end: size });
    return gaps;
  }
}
