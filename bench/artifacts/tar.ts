// Just enough of ustar to write artifacts with: files and folders of root's, at one moment in time.
const BLOCK = 512;
const MOMENT = 1_700_000_000;

export function tarDirectory(name: string): Buffer {
  return header(`${name}/`, { mode: 0o755, size: 0, type: "5" });
}

export function* tarFile(name: string, content: Buffer): Generator<Buffer> {
  yield header(name, { mode: 0o644, size: content.length, type: "0" });
  yield content;
  const over = content.length % BLOCK;
  if (over > 0) yield Buffer.alloc(BLOCK - over);
}

export function tarEnd(): Buffer {
  return Buffer.alloc(2 * BLOCK);
}

function header(
  name: string,
  entry: { readonly mode: number; readonly size: number; readonly type: string },
): Buffer {
  if (Buffer.byteLength(name) > 100) throw new Error(`The name "${name}" is too long for plain ustar`);
  const block = Buffer.alloc(BLOCK);
  const octal = (value: number, at: number, length: number) =>
    block.write(`${value.toString(8).padStart(length - 1, "0")}\0`, at, "latin1");
  block.write(name, 0);
  octal(entry.mode, 100, 8);
  octal(0, 108, 8);
  octal(0, 116, 8);
  octal(entry.size, 124, 12);
  octal(MOMENT, 136, 12);
  block.write(" ".repeat(8), 148, "latin1");
  block.write(entry.type, 156, "latin1");
  block.write("ustar\x0000", 257, "latin1");
  const sum = block.reduce((total, byte) => total + byte, 0);
  block.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148, "latin1");
  return block;
}
