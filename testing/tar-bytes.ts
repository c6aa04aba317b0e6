// Writes tar archives for tests, hostile ones too: every field can be made to say anything.

export type Block = {
  readonly name: string;
  readonly type?: string;
  readonly target?: string;
  readonly mode?: number;
  readonly uid?: number;
  readonly gid?: number;
  readonly mtime?: number;
  readonly data?: Uint8Array | string;
  /** What the header claims, where that is not the length of the data. */
  readonly size?: number | bigint;
  readonly device?: readonly [major: number, minor: number];
  readonly prefix?: string;
  readonly magic?: string;
  /** Latin1 text or bytes written over the finished header, before the checksum. */
  readonly patches?: ReadonlyArray<readonly [at: number, bytes: string | Uint8Array]>;
  readonly checksum?: number;
};

/** `name`, `target` and `prefix` are latin1 text that stands for bytes. */
export function entry(block: Block): Buffer {
  const data = Buffer.from(block.data ?? "");
  const header = Buffer.alloc(512);
  const put = (at: number, length: number, text: string) => header.write(text.slice(0, length), at, "latin1");
  put(0, 100, block.name);
  putNumber(header, [100, 8], block.mode ?? 0o644);
  putNumber(header, [108, 8], block.uid ?? 0);
  putNumber(header, [116, 8], block.gid ?? 0);
  putNumber(header, [124, 12], block.size ?? data.length);
  putNumber(header, [136, 12], block.mtime ?? 0);
  put(156, 1, block.type ?? "0");
  put(157, 100, block.target ?? "");
  put(257, 8, block.magic ?? "ustar\x0000");
  if (block.device !== undefined) {
    putNumber(header, [329, 8], block.device[0]);
    putNumber(header, [337, 8], block.device[1]);
  }
  if (block.prefix !== undefined) put(345, 155, block.prefix);
  for (const [at, bytes] of block.patches ?? []) Buffer.from(bytes as string, "latin1").copy(header, at);
  header.fill(0x20, 148, 156);
  const sum = header.reduce((total, byte) => total + byte, 0);
  header.write(`${(block.checksum ?? sum).toString(8).padStart(6, "0")}\0 `, 148, "latin1");
  return Buffer.concat([header, data, Buffer.alloc((512 - (data.length % 512)) % 512)]);
}

/** Octal where it fits, else base 256; negative numbers too. */
function putNumber(header: Buffer, [at, length]: readonly [number, number], value: number | bigint): void {
  const octal = value < 0 ? undefined : value.toString(8);
  if (octal !== undefined && octal.length < length) {
    header.write(octal.padStart(length - 1, "0"), at, "latin1");
    return;
  }
  let rest = BigInt.asUintN(8 * length, BigInt(value));
  for (let byte = length - 1; byte >= 0; byte--, rest >>= 8n) header[at + byte] = Number(rest & 0xffn);
  header[at] = (header[at] ?? 0) | 0x80;
}

export function directory(name: string, block: Partial<Block> = {}): Buffer {
  return entry({ name, type: "5", mode: 0o755, ...block });
}

export function file(name: string, data: Uint8Array | string, block: Partial<Block> = {}): Buffer {
  return entry({ name, data, ...block });
}

export function symlink(name: string, target: string): Buffer {
  return entry({ name, type: "2", target, mode: 0o777 });
}

export function hardlink(name: string, target: string): Buffer {
  return entry({ name, type: "1", target });
}

/** An extended header; values are latin1 text. */
export function pax(
  records: ReadonlyArray<readonly [key: string, value: string]>,
  type: "x" | "g" = "x",
): Buffer {
  return entry({
    name: "PaxHeaders/entry",
    type,
    data: Buffer.from(records.map(paxRecord).join(""), "latin1"),
  });
}

function paxRecord([key, value]: readonly [string, string]): string {
  const rest = ` ${key}=${value}\n`;
  let length = rest.length + 1;
  while (`${length}${rest}`.length !== length) length = `${length}${rest}`.length;
  return `${length}${rest}`;
}

/** GNU's way with a name, or with `K` a target, that is too long for its field. */
export function longName(name: string, type: "L" | "K" = "L"): Buffer {
  return entry({ name: "././@LongLink", type, data: Buffer.from(`${name}\0`, "latin1"), magic: "ustar  \0" });
}

/** The entries, and the end that an archive has. */
export function tar(...entries: readonly Uint8Array[]): Buffer {
  return Buffer.concat([...entries, Buffer.alloc(1024)]);
}
