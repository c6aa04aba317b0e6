// The extended header of a pax archive: records that say more of the next entry than its own header can.
import { Failure } from "../core/failure.ts";
import type { Time } from "../host/entry-status.ts";

/** Keys and values are latin1 text that stands for bytes. An empty value takes back what was said. */
export type PaxRecords = {
  readonly values: ReadonlyMap<string, string>;
  /** GNU's sparse 0.0 says these once for each piece, which no map can hold. */
  readonly sparse: ReadonlyArray<readonly [offset: number, length: number]>;
};

/** Failure `invalid` when a record is not as its length says. */
export function parsePax(bytes: Buffer): PaxRecords {
  const values = new Map<string, string>();
  const sparse: Array<[number, number]> = [];
  for (let at = 0; at < bytes.length; ) {
    const space = bytes.indexOf(0x20, at);
    const digits = space < 0 || space - at > 10 ? "" : bytes.toString("latin1", at, space);
    const end = at + Number(digits);
    if (!/^[1-9][0-9]*$/.test(digits) || end > bytes.length || bytes[end - 1] !== 0x0a || end < space + 3)
      throw broken();
    const equals = bytes.indexOf(0x3d, space);
    if (equals < 0 || equals >= end || equals === space + 1) throw broken();
    takeRecord(values, sparse, [
      bytes.toString("latin1", space + 1, equals),
      bytes.toString("latin1", equals + 1, end - 1),
    ]);
    at = end;
  }
  return { values, sparse };
}

function takeRecord(
  values: Map<string, string>,
  sparse: Array<[number, number]>,
  [key, value]: readonly [string, string],
): void {
  const last = sparse.at(-1);
  if (key === "GNU.sparse.offset") sparse.push([parseWhole(value), -1]);
  else if (key === "GNU.sparse.numbytes" && last?.[1] === -1) last[1] = parseWhole(value);
  else if (key === "GNU.sparse.numbytes") throw broken();
  else values.set(key, value);
}

/** A number that is not negative. Failure `invalid` for anything else. */
export function parseWhole(text: string): number {
  const value = Number(text);
  if (/^[0-9]{1,16}$/.test(text) && Number.isSafeInteger(value)) return value;
  throw new Failure(
    "invalid",
    `an extended header holds ${JSON.stringify(text.slice(0, 40))} for a number; pack it again`,
  );
}

/** Seconds with a fraction, such as `-1.25`. */
export function parsePaxTime(text: string): Time {
  const match = /^(-?)([0-9]{1,15})(?:\.([0-9]{0,30}))?$/.exec(text);
  if (match === null)
    throw new Failure(
      "invalid",
      `an extended header holds ${JSON.stringify(text.slice(0, 40))} for a time; pack it again`,
    );
  const nanoseconds = Number((match[3] ?? "").slice(0, 9).padEnd(9, "0"));
  const seconds = Number(match[2]);
  if (match[1] === "") return { seconds, nanoseconds };
  return nanoseconds === 0
    ? { seconds: 0 - seconds, nanoseconds }
    : { seconds: -seconds - 1, nanoseconds: 1_000_000_000 - nanoseconds };
}

function broken(): Failure {
  return new Failure("invalid", "an extended header (pax) in it is broken; pack it again");
}
