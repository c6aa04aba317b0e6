// The kernel's calls for mounting, one function each; they throw Node's kind of error, `syscall` saying which.
import { checked, cpath, libcFunction } from "./libc.ts";
import { overlaySource } from "./mounts.ts";

// linux/mount.h, sys/mount.h, fcntl.h; the same on x86-64 and arm64, as are the numbers of the calls below.
export const openTreeClone = 1;
export const closeOnExec = 0o2000000;
export const openPathOnly = 0o10000000;
export const attribute = { readOnly: 1, noSuid: 2, noDev: 4 } as const;
export const propagatePrivate = 1 << 18;
const atCurrentDirectory = -100;
const atEmptyPath = 0x1000;
const atSymlinkNoFollow = 0x100;
const moveFromEmptyPath = 0x4;
const moveToEmptyPath = 0x40;
const unmountNoFollow = 8;
const configure = { flag: 0, string: 1, create: 6 } as const;
const contextCloseOnExec = 1;
const attributesSize = 32;

const mount2 = libcFunction(
  "int mount(const char *source, const char *target, const char *type, unsigned long flags, const char *options)",
);
const umount2 = libcFunction("int umount2(const char *target, int flags)");
const syncfs2 = libcFunction("int syncfs(int fd)", { mostCalls: 1 });
// Not all C libraries in use have functions of their own for these.
const open_tree = libcFunction("long syscall(long n, int directory, const char *path, unsigned int flags)");
const move_mount = libcFunction(
  "long syscall(long n, int fromDirectory, const char *from, int toDirectory, const char *to, unsigned int flags)",
);
const fsopen2 = libcFunction("long syscall(long n, const char *type, unsigned int flags)");
const fsconfig = libcFunction(
  "long syscall(long n, int context, unsigned int command, const char *key, const char *value, int aux)",
);
const fsmount2 = libcFunction(
  "long syscall(long n, int context, unsigned int flags, unsigned int attributes)",
);
const mount_setattr = libcFunction(
  "long syscall(long n, int directory, const char *path, unsigned int flags, void *attributes, size_t size)",
);

const statx2 = libcFunction(
  "int statx(int directory, const char *path, int flags, unsigned int mask, void *answer)",
);
const noAutomount = 0x800;
const withoutAsking = 0x4000;
const statxSize = 256;
const attributesAt = 8;
const attributesKnownAt = 56;
const mountRoot = 0x2000n;

const nothing = cpath("");

/** The older way: a target by path, all options in one text. */
export function mountOverlayType(target: string, flags: number, options: Uint8Array): void {
  checked("mount", mount2(cpath(overlaySource), cpath(target), cpath("overlay"), flags, cpath(options)));
}

/** Never what a symlink points at; waits, where the file system has something to write. */
export function umount(target: Uint8Array): void {
  checked("umount2", umount2(cpath(target), unmountNoFollow));
}

export function syncfs(fd: number): void {
  checked("syncfs", syncfs2(fd));
}

/** The descriptor of something at the path, its last name not followed. */
export function openTree(path: Uint8Array, flags: number): number {
  return checked("open_tree", open_tree(428, atCurrentDirectory, cpath(path), flags | atSymlinkNoFollow));
}

/** Attaches a mount that is nowhere yet to what the other descriptor names, on top of what is mounted there. */
export function moveMount(fd: number, target: number): void {
  const flags = moveFromEmptyPath | moveToEmptyPath;
  checked("move_mount", move_mount(429, fd, nothing, target, nothing, flags));
}

export function fsopen(type: string): number {
  return checked("fsopen", fsopen2(430, cpath(type), contextCloseOnExec));
}

/** A setting, or a flag without a value. */
export function fsconfigSet(context: number, key: string, value?: Uint8Array): void {
  const command = value === undefined ? configure.flag : configure.string;
  const text = value === undefined ? null : cpath(value);
  checked(`fsconfig ${key}`, fsconfig(431, context, command, cpath(key), text, 0));
}

export function fsconfigCreate(context: number): void {
  checked("fsconfig create", fsconfig(431, context, configure.create, null, null, 0));
}

export function fsmount(context: number, attributes: number): number {
  return checked("fsmount", fsmount2(432, context, contextCloseOnExec, attributes));
}

export type MountChange = { readonly set?: number; readonly clear?: number; readonly propagation?: number };

export function mountSetattr(fd: number, { set = 0, clear = 0, propagation = 0 }: MountChange): void {
  // struct mount_attr, whose last member is a user namespace.
  const all = new BigUint64Array([BigInt(set), BigInt(clear), BigInt(propagation), 0n]);
  checked("mount_setattr", mount_setattr(442, fd, nothing, atEmptyPath, all, attributesSize));
}

/**
 * Whether something is mounted at exactly this path, its last name not followed; undefined where the file system
 * does not say. Asks only what the kernel has in memory, so that a mount that hangs is told of, not waited for.
 */
export function isMountRoot(path: Uint8Array): boolean | undefined {
  const answer = Buffer.alloc(statxSize);
  const flags = atSymlinkNoFollow | noAutomount | withoutAsking;
  checked("statx", statx2(atCurrentDirectory, cpath(path), flags, 0, answer));
  const known = (answer.readBigUInt64LE(attributesKnownAt) & mountRoot) !== 0n;
  return known ? (answer.readBigUInt64LE(attributesAt) & mountRoot) !== 0n : undefined;
}
