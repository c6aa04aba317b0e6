// The system calls of XFS that Larder needs, on open files: projects, their limits and use, and growth.
import { checked, libcFunction } from "./libc.ts";
import type { ProjectQuota, QuotaLimits } from "./quotas.ts";

const ioctl = libcFunction("int ioctl(int, unsigned long, void *)");
const syscall = libcFunction("long syscall(long, long, long, long, void *)");

const FS_IOC_FSGETXATTR = 0x801c581f;
const FS_IOC_FSSETXATTR = 0x401c5820;
const FS_XFLAG_PROJINHERIT = 0x200;
const SYS_quotactl_fd = 443;
const PRJQUOTA = 2;
const Q_XGETQUOTA = 0x580302;
const Q_XSETQLIM = 0x580402;
const Q_XGETQSTATV = 0x580802;
const Q_XGETNEXTQUOTA = 0x580902;
const XFS_IOC_FSGEOMETRY_V1 = 0x80705864;
const XFS_IOC_FSGROWFSDATA = 0x4010586e;

/** Of the quota blocks' sizes, whatever the file system's own block is. */
const BASIC_BLOCK_BYTES = 512;
const ALL_FOUR_LIMITS = 0xf;
const SMALLEST_GROUP_BLOCKS = 64;

/** struct fsxattr: xflags@0, extsize@4, nextents@8, projid@12, cowextsize@16. */
export function readProjectOf(fd: number): number {
  return readAttributes(fd).readUInt32LE(12);
}

export function writeProjectTo(fd: number, project: number): void {
  const attributes = readAttributes(fd);
  const flags = attributes.readUInt32LE(0);
  const inherited = project === 0 ? flags & ~FS_XFLAG_PROJINHERIT : flags | FS_XFLAG_PROJINHERIT;
  attributes.writeUInt32LE(inherited >>> 0, 0);
  attributes.writeUInt32LE(project, 12);
  checked("FS_IOC_FSSETXATTR", ioctl(fd, FS_IOC_FSSETXATTR, attributes));
}

function readAttributes(fd: number): Buffer {
  const attributes = Buffer.alloc(28);
  checked("FS_IOC_FSGETXATTR", ioctl(fd, FS_IOC_FSGETXATTR, attributes));
  return attributes;
}

/** struct fs_quota_statv: version@0, flags@2 (project: 16 counted, 32 enforced). */
export function readQuotaState(fd: number): { readonly counted: boolean; readonly enforced: boolean } {
  const state = Buffer.alloc(160);
  state[0] = 1;
  quotactl(fd, Q_XGETQSTATV, 0, state);
  const flags = state.readUInt16LE(2);
  return { counted: (flags & 16) !== 0, enforced: (flags & 32) !== 0 };
}

/** Sets hard and soft alike; 0 is no limit. */
export function writeQuotaLimits(fd: number, project: number, limits: QuotaLimits): void {
  const block = Buffer.alloc(112);
  block[0] = 1;
  block[1] = PRJQUOTA;
  block.writeUInt16LE(ALL_FOUR_LIMITS, 2);
  block.writeUInt32LE(project, 4);
  const basicBlocks = BigInt(Math.ceil(limits.bytes / BASIC_BLOCK_BYTES));
  for (const offset of [8, 16]) block.writeBigUInt64LE(basicBlocks, offset);
  for (const offset of [24, 32]) block.writeBigUInt64LE(BigInt(limits.inodes), offset);
  quotactl(fd, Q_XSETQLIM, project, block);
}

/** Throws ENOENT for a project without limits and use. */
export function readQuotaBlock(fd: number, project: number): ProjectQuota {
  return quotaBlock(fd, Q_XGETQUOTA, project);
}

/** The first project from this number on that has limits or use; throws ENOENT after the last. */
export function readNextQuotaBlock(fd: number, from: number): ProjectQuota {
  return quotaBlock(fd, Q_XGETNEXTQUOTA, from);
}

/** struct fs_disk_quota: version@0, id@4, bhard@8, bsoft@16, ihard@24, isoft@32, bcount@40, icount@48. */
function quotaBlock(fd: number, command: number, project: number): ProjectQuota {
  const block = Buffer.alloc(112);
  quotactl(fd, command, project, block);
  const at = (offset: number) => Number(block.readBigUInt64LE(offset));
  const limits = { bytes: at(8) * BASIC_BLOCK_BYTES, inodes: at(24) };
  return {
    project: block.readUInt32LE(4),
    usedBytes: at(40) * BASIC_BLOCK_BYTES,
    usedInodes: at(48),
    ...(limits.bytes > 0 || limits.inodes > 0 ? { limits } : {}),
  };
}

function quotactl(fd: number, command: number, project: number, block: Buffer): void {
  checked("quotactl_fd", syscall(SYS_quotactl_fd, fd, command, project, block));
}

/** struct xfs_fsop_geom_v1: blocksize@0, imaxpct@28, datablocks@32. */
function readGeometry(fd: number): { blockBytes: number; dataBlocks: number; inodePercent: number } {
  const geometry = Buffer.alloc(112);
  checked("XFS_IOC_FSGEOMETRY", ioctl(fd, XFS_IOC_FSGEOMETRY_V1, geometry));
  return {
    blockBytes: geometry.readUInt32LE(0),
    inodePercent: geometry.readUInt32LE(28),
    dataBlocks: Number(geometry.readBigUInt64LE(32)),
  };
}

/** Grows the mounted file system to the bytes its device has now, as far as whole allocation groups can be made of them. */
export function growToDevice(fd: number, deviceBytes: number): void {
  const { blockBytes, dataBlocks, inodePercent } = readGeometry(fd);
  const wantedBlocks = Math.floor(deviceBytes / blockBytes);
  if (wantedBlocks - dataBlocks < SMALLEST_GROUP_BLOCKS) return;
  const growth = Buffer.alloc(16);
  growth.writeBigUInt64LE(BigInt(wantedBlocks), 0);
  growth.writeUInt32LE(inodePercent, 8);
  checked("XFS_IOC_FSGROWFSDATA", ioctl(fd, XFS_IOC_FSGROWFSDATA, growth));
}
