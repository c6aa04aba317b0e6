// Files that are in memory only and have no name: secrets for a child, gone with the last descriptor.
import { closeSync, writeSync } from "node:fs";
import { checked, cpath, libcFunction } from "./libc.ts";

const memfdCreate = libcFunction("int memfd_create(const void *name, unsigned int flags)");
const CLOSE_ON_EXEC = 1;

/** An open descriptor over `bytes`, closed when disposed of. A child that inherits it may open it again by /dev/fd. */
export function openMemoryFile(bytes: Uint8Array): { readonly fd: number } & Disposable {
  const fd = checked("memfd_create", memfdCreate(cpath("larder"), CLOSE_ON_EXEC) as number);
  const file = { fd, [Symbol.dispose]: () => closeSync(fd) };
  try {
    for (let at = 0; at < bytes.length; ) at += writeSync(fd, bytes, at);
    return file;
  } catch (error) {
    file[Symbol.dispose]();
    throw error;
  }
}
