// Extended attributes as records of an extended header, in the two spellings that there are.

/** What Go, and so containerd, and GNU tar read: the value as it is. The key ends at its first "=". */
const PLAIN = "SCHILY.xattr.";
/** libarchive's: the name with percent signs, the value in base64. */
const ENCODED = "LIBARCHIVE.xattr.";

/** Names and keys are latin1 text that stands for bytes. Only what the plain spelling cannot say is written in the other. */
export function formatXattr(name: string, value: Uint8Array): readonly [key: string, value: string] {
  const bytes = Buffer.from(value);
  if (!name.includes("=")) return [`${PLAIN}${name}`, bytes.toString("latin1")];
  const encoded = name.replaceAll(/[^!-~]|[%=]/g, (char) => `%${toHex(char)}`);
  return [`${ENCODED}${encoded}`, bytes.toString("base64")];
}

/**
 * Undefined for a record that is no attribute. In libarchive's spelling only what the other cannot say counts, since
 * other readers of images take nothing from it.
 */
export function parseXattr(key: string, value: string): readonly [name: string, value: Buffer] | undefined {
  if (key.startsWith(PLAIN)) return [key.slice(PLAIN.length), Buffer.from(value, "latin1")];
  if (!key.startsWith(ENCODED)) return undefined;
  const name = key
    .slice(ENCODED.length)
    .replaceAll(/%([0-9A-Fa-f]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
  return name.includes("=") && !name.includes("\0") ? [name, Buffer.from(value, "base64")] : undefined;
}

const toHex = (char: string) => char.charCodeAt(0).toString(16).padStart(2, "0").toUpperCase();
