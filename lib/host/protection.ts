// The immutable and append-only flags, which keep what carries them from being changed and removed, even by root.
import fs from "node:fs";
import type { Directory, Name } from "./directory.ts";
import { checked, libcFunction } from "./libc.ts";

const FS_IOC_GETFLAGS = 0x80086601;
const FS_IOC_SETFLAGS = 0x40086602;
/** FS_IMMUTABLE_FL and FS_APPEND_FL. */
const PROTECTED = 0x10 | 0x20;
const ioctl = libcFunction("int ioctl(int, unsigned long, void *)");

/** Takes both from the entry. Nothing else than files and directories can have them. */
export function unprotect(directory: Directory, name: Name): void {
  const { type } = directory.status(name);
  if (type !== "file" && type !== "directory") return;
  const fd = directory.openFile(name);
  try {
    unprotectOpen(fd);
  } finally {
    fs.closeSync(fd);
  }
}

/** Takes both from what is open. */
export function unprotectOpen(fd: number): void {
  const flags = Buffer.alloc(8);
  checked("ioctl", ioctl(fd, FS_IOC_GETFLAGS, flags) as number);
  if ((flags.readUInt32LE(0) & PROTECTED) === 0) return;
  flags.writeUInt32LE((flags.readUInt32LE(0) & ~PROTECTED) >>> 0, 0);
  checked("ioctl", ioctl(fd, FS_IOC_SETFLAGS, flags) as number);
}
