// File names are bytes: text that carries any of them there and back, equal only where the bytes are equal.

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** UTF-8 as its text; every other byte as a lone surrogate (U+DC80 to U+DCFF), which no well-formed text holds. */
export function decodePath(bytes: Uint8Array): string {
  try {
    return utf8.decode(bytes);
  } catch {
    return decodePieces(bytes);
  }
}

/** The bytes that `decodePath` was given; for ordinary text, its UTF-8. */
export function encodePath(text: string): Uint8Array {
  if (text.isWellFormed()) return Buffer.from(text, "utf8");
  const pieces = Array.from(text, (char) => {
    const code = char.codePointAt(0) ?? 0;
    return code >= 0xdc80 && code <= 0xdcff ? Buffer.of(code - 0xdc00) : Buffer.from(char, "utf8");
  });
  return Buffer.concat(pieces);
}

function decodePieces(bytes: Uint8Array): string {
  let text = "";
  for (let at = 0; at < bytes.length; ) {
    const length = sequenceLength(bytes, at);
    text +=
      length === 0
        ? String.fromCharCode(0xdc00 + (bytes[at] ?? 0))
        : utf8.decode(bytes.subarray(at, at + length));
    at += Math.max(length, 1);
  }
  return text;
}

/** The length of the whole UTF-8 sequence at `at`; 0 where there is none. */
function sequenceLength(bytes: Uint8Array, at: number): number {
  const first = bytes[at] ?? 0;
  if (first < 0x80) return 1;
  const length = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
  try {
    utf8.decode(bytes.subarray(at, at + length));
    return at + length <= bytes.length ? length : 0;
  } catch {
    return 0;
  }
}
