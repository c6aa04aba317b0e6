// Where a sparse file holds something, as its file system tells.
import { checked, libcFunction } from "./libc.ts";

const SEEK_DATA = 3;
const SEEK_HOLE = 4;
const lseek = libcFunction("int64_t lseek(int, int64_t, int)");

/** The first byte at or after `from` that is not in a hole; nothing where only holes follow. */
export function nextData(fd: number, from: number): number | undefined {
  return seek(fd, from, SEEK_DATA);
}

/** The first byte at or after `from` that is in a hole; the end of the file counts as one. Nothing beyond that. */
export function nextHole(fd: number, from: number): number | undefined {
  return seek(fd, from, SEEK_HOLE);
}

function seek(fd: number, from: number, whence: number): number | undefined {
  try {
    return checked("lseek", Number(lseek(fd, from, whence)));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENXIO") return undefined;
    throw error;
  }
}
