// One tar header block of 512 bytes, in its v7, ustar, star and GNU dialects.
import { Failure } from "../core/failure.ts";

export const BLOCK = 512;

export type Header = {
  readonly type: string;
  /** Latin1 text: the bytes as they are. */
  readonly name: string;
  readonly target: string;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly size: number;
  readonly mtime: number;
  readonly major: number;
  readonly minor: number;
};

const CHECKSUM_START = 148;
const CHECKSUM_END = 156;

/** Nothing for a block of zeros. Failure `invalid` when the checksum or a number in it is wrong. */
export function parseHeader(block: Buffer): Header | undefined {
  if (!checkSum(block)) return undefined;
  const dialect = block.toString("latin1", 257, 265);
  const prefix = dialect === "ustar\x0000" ? textAt(block, 345, isStar(block) ? 131 : 155) : "";
  const name = textAt(block, 0, 100);
  return {
    type: String.fromCharCode(block[156] ?? 0),
    name: prefix === "" ? name : `${prefix}/${name}`,
    target: textAt(block, 157, 100),
    mode: numberAt(block, 100, 8),
    uid: numberAt(block, 108, 8),
    gid: numberAt(block, 116, 8),
    size: numberAt(block, 124, 12),
    mtime: signedAt(block, 136, 12),
    // Before ustar there is no device, and the bytes may hold anything.
    major: dialect.startsWith("ustar") ? numberAt(block, 329, 8) : 0,
    minor: dialect.startsWith("ustar") ? numberAt(block, 337, 8) : 0,
  };
}

function isStar(block: Buffer): boolean {
  return block.toString("latin1", 508, 512) === "tar\0";
}

/** False for a block of zeros. Old writers summed signed characters. */
function checkSum(block: Buffer): boolean {
  let unsigned = 0;
  let signed = 0;
  for (let at = 0; at < BLOCK; at++) {
    const byte = at >= CHECKSUM_START && at < CHECKSUM_END ? 0x20 : (block[at] ?? 0);
    unsigned += byte;
    signed += byte < 128 ? byte : byte - 256;
  }
  if (unsigned === 8 * 0x20 && block.subarray(CHECKSUM_START, CHECKSUM_END).every((byte) => byte === 0))
    return false;
  const stated = octalAt(block, CHECKSUM_START, 8);
  if (stated !== unsigned && stated !== signed)
    throw new Failure(
      "invalid",
      "a header's checksum is wrong: it is not a tar archive, or a broken one; pack it again",
    );
  return true;
}

/** Up to the first NUL. */
export function textAt(block: Buffer, start: number, length: number): string {
  const end = block.indexOf(0, start);
  return block.toString("latin1", start, end < 0 || end > start + length ? start + length : end);
}

/** Failure `invalid` when it is negative or no number. */
export function numberAt(block: Buffer, start: number, length: number): number {
  const value = signedAt(block, start, length);
  if (value < 0) throw new Failure("invalid", `a header holds the negative number ${value}; pack it again`);
  return value;
}

function signedAt(block: Buffer, start: number, length: number): number {
  const lead = block[start] ?? 0;
  if ((lead & 0x80) !== 0) return binaryAt(block, start, length);
  const value = octalAt(block, start, length);
  if (value === undefined)
    throw new Failure("invalid", "a header holds a number that is not octal; pack it again");
  return value;
}

/** Nothing for what is no octal number; 0 for an empty field. */
function octalAt(block: Buffer, start: number, length: number): number | undefined {
  const text = block
    .toString("latin1", start, start + length)
    .replace(/^[ \0]+/, "")
    .replace(/[ \0].*$/s, "");
  if (!/^[0-7]*$/.test(text)) return undefined;
  return text === "" ? 0 : Number.parseInt(text, 8);
}

/** GNU's base 256: a two's complement of the whole field, but for the bit that tells it apart. */
function binaryAt(block: Buffer, start: number, length: number): number {
  const lead = block[start] ?? 0;
  const negative = (lead & 0x40) !== 0;
  let value = BigInt(negative ? lead : lead & 0x7f);
  for (const byte of block.subarray(start + 1, start + length)) value = value * 256n + BigInt(byte);
  const signed = negative ? value - (1n << BigInt(8 * length)) : value;
  const number = Number(signed);
  if (Number.isSafeInteger(number)) return number;
  throw new Failure(
    "invalid",
    `a header holds the number ${signed}, which is too large for any file; pack it again`,
  );
}
