// The system calls of loop devices, on open descriptors.
import { checked, cpath, libcFunction } from "./libc.ts";

const ioctl = libcFunction("int ioctl(int, unsigned long, void *)");
const ioctlNumber = libcFunction("int ioctl(int, unsigned long, long)");
const mknod = libcFunction("int mknod(const char *, unsigned int, unsigned long)");

const LOOP_SET_DIRECT_IO = 0x4c08;
const LOOP_CONFIGURE = 0x4c0a;
const LOOP_GET_STATUS64 = 0x4c05;
const LOOP_SET_CAPACITY = 0x4c07;
const LOOP_CTL_GET_FREE = 0x4c82;

const LO_FLAGS_READ_ONLY = 1;
const LO_FLAGS_AUTOCLEAR = 4;
const LO_FLAGS_DIRECT_IO = 16;

const S_IFCHR = 0o20000;
const S_IFBLK = 0o60000;

/** What a device shows of which file. */
export type LoopStatus = {
  /** Of the file, as stat(2) has them. */
  readonly fileSystem: bigint;
  readonly inode: bigint;
  readonly offset: bigint;
  readonly sizeLimit: bigint;
  readonly readOnly: boolean;
};

/** The number of a device that nobody had a moment ago, made where there is none. */
export function freeLoopNumber(control: number): number {
  return checked("LOOP_CTL_GET_FREE", ioctlNumber(control, LOOP_CTL_GET_FREE, 0));
}

/** struct loop_config: fd@0, block_size@4, then struct loop_info64@8. EBUSY when another was quicker. */
export function configureLoop(device: number, image: number, options: { readonly directIo: boolean }): void {
  const config = Buffer.alloc(304);
  config.writeUInt32LE(image, 0);
  config.writeUInt32LE(LO_FLAGS_AUTOCLEAR | (options.directIo ? LO_FLAGS_DIRECT_IO : 0), 8 + 52);
  checked("LOOP_CONFIGURE", ioctl(device, LOOP_CONFIGURE, config));
}

/** struct loop_info64: device@0, inode@8, offset@24, sizelimit@32, flags@52. ENXIO when nothing is attached. */
export function readLoopStatus(device: number): LoopStatus {
  const info = Buffer.alloc(232);
  checked("LOOP_GET_STATUS64", ioctl(device, LOOP_GET_STATUS64, info));
  return {
    fileSystem: info.readBigUInt64LE(0),
    inode: info.readBigUInt64LE(8),
    offset: info.readBigUInt64LE(24),
    sizeLimit: info.readBigUInt64LE(32),
    readOnly: (info.readUInt32LE(52) & LO_FLAGS_READ_ONLY) !== 0,
  };
}

export function stopDirectIo(device: number): void {
  checked("LOOP_SET_DIRECT_IO", ioctlNumber(device, LOOP_SET_DIRECT_IO, 0));
}

export function adoptImageSize(device: number): void {
  checked("LOOP_SET_CAPACITY", ioctlNumber(device, LOOP_SET_CAPACITY, 0));
}

/** A device's node, for root only; the numbers are `major:minor`. */
export function makeNode(path: string, kind: "block" | "character", numbers: string): void {
  const [major = 0, minor = 0] = numbers.split(":").map(BigInt);
  const device =
    ((BigInt(major) & 0xfffn) << 8n) | (BigInt(minor) & 0xffn) | ((BigInt(minor) & ~0xffn) << 12n);
  const mode = (kind === "block" ? S_IFBLK : S_IFCHR) | 0o600;
  checked("mknod", mknod(cpath(path), mode, device));
}
