// The system calls that mount, by descriptors so that no path is looked up twice; the caller's thread waits in them.
import { closeSync, constants, fstatSync, openSync, readSync } from "node:fs";
import { encodePath } from "../core/path-bytes.ts";
import { checked, cpath, libcFunction } from "./libc.ts";
import type { BindRequest, MountFlags, OverlayRequest } from "./mounts.ts";

export type OverlayCall = OverlayRequest & { readonly kind: "overlay" };

// linux/mount.h and asm/unistd.h; these numbers are the same on x86-64 and arm64.
const call = {
  openTree: 428,
  moveMount: 429,
  fsopen: 430,
  fsconfig: 431,
  fsmount: 432,
  mountSetattr: 442,
} as const;
const configure = { flag: 0, string: 1, create: 6 } as const;
const attribute = { readOnly: 1, noSuid: 2, noDev: 4 } as const;
const openTreeClone = 1;
const closeOnExec = 0o2000000;
const emptyPath = 0x1000;
const symlinkNoFollow = 0x100;
const moveFromEmptyPath = 0x4;
const moveToEmptyPath = 0x40;
const propagatePrivate = 1n << 18n;
const unmountNoFollow = 8;
const openPath = 0o10000000;
/** fsconfig(2) takes strings of 255 bytes at most. */
const longestSetting = 255;

const syscall = libcFunction("long syscall(long number, ...)");
const umount2 = libcFunction("int umount2(const char *target, int flags)");
const syncfs = libcFunction("int syncfs(int fd)");

export function unmount(target: string): void {
  checked("umount2", umount2(cpath(encodePath(target)), unmountNoFollow));
}

export function syncFilesystem(path: string): void {
  using file = openAt(path, constants.O_RDONLY | constants.O_NONBLOCK);
  checked("syncfs", syncfs(file.fd));
}

export function mountBind({ source, target, flags }: BindRequest): void {
  using there = openTarget(target);
  using mount = owned(
    checked(
      "open_tree",
      syscall(
        call.openTree,
        "int",
        -100,
        "const char *",
        cpath(encodePath(source)),
        "unsigned int",
        openTreeClone | closeOnExec | symlinkNoFollow,
      ),
    ),
  );
  // Private before it is attached: a clone is a peer of what it was cloned from, and mounts would pass between them.
  const attributes = new BigUint64Array([BigInt(attributesOf(flags)), 0n, propagatePrivate, 0n]);
  checked(
    "mount_setattr",
    syscall(
      call.mountSetattr,
      "int",
      mount.fd,
      "const char *",
      cpath(""),
      "unsigned int",
      emptyPath,
      "void *",
      attributes,
      "size_t",
      32,
    ),
  );
  attach(mount.fd, there.fd);
}

export function mountOverlay(request: OverlayRequest): void {
  using there = openTarget(request.target);
  using stack = new DisposableStack();
  const setting = (path: string) =>
    needsDescriptor(path) ? descriptorPath(stack.use(openLayer(path)).fd) : path;
  using context = owned(
    checked("fsopen", syscall(call.fsopen, "const char *", cpath("overlay"), "unsigned int", 1)),
  );
  try {
    for (const [key, value] of overlaySettings(request, setting)) set(context.fd, key, value);
    config(context.fd, configure.create, null, null);
    const attributes = attributesOf(request.flags);
    using mount = owned(
      checked(
        "fsmount",
        syscall(call.fsmount, "int", context.fd, "unsigned int", 1, "unsigned int", attributes),
      ),
    );
    attach(mount.fd, there.fd);
  } catch (error) {
    throw Object.assign(error as Error, { detail: readComplaints(context.fd) });
  }
}

type Setting = readonly [key: string, value: string | undefined];

/** Said one and all, since what a kernel does without being told differs by distribution. */
function overlaySettings(request: OverlayRequest, path: (path: string) => string): readonly Setting[] {
  const { upper, work, context } = request;
  const redirects = upper === undefined ? "follow" : "on";
  return [
    ["source", "larder"],
    ...request.lower.map((layer): Setting => ["lowerdir+", path(layer)]),
    ...(upper === undefined || work === undefined
      ? []
      : ([
          ["upperdir", path(upper)],
          ["workdir", path(work)],
        ] satisfies Setting[])),
    ["redirect_dir", request.redirectDir === true ? redirects : "nofollow"],
    ["metacopy", "off"],
    ["index", "off"],
    ["nfs_export", "off"],
    ["xino", upper === undefined ? "off" : "auto"],
    ...(request.volatile === true ? ([["volatile", undefined]] satisfies Setting[]) : []),
    ...(context === undefined ? [] : ([["context", context]] satisfies Setting[])),
  ];
}

function set(context: number, key: string, value: string | undefined): void {
  if (value === undefined) config(context, configure.flag, cpath(key), null);
  else config(context, configure.string, cpath(key), cpath(encodePath(value)));
}

function config(context: number, command: number, key: Buffer | null, value: Buffer | null): void {
  checked(
    "fsconfig",
    syscall(
      call.fsconfig,
      "int",
      context,
      "unsigned int",
      command,
      "const char *",
      key,
      "const void *",
      value,
      "int",
      0,
    ),
  );
}

function attach(mount: number, target: number): void {
  const empty = cpath("");
  checked(
    "move_mount",
    syscall(
      call.moveMount,
      "int",
      mount,
      "const char *",
      empty,
      "int",
      target,
      "const char *",
      empty,
      "unsigned int",
      moveFromEmptyPath | moveToEmptyPath,
    ),
  );
}

/** What the kernel wrote to the descriptor about why, one message a read. */
function readComplaints(context: number): string {
  const messages: string[] = [];
  const buffer = Buffer.alloc(1024);
  try {
    while (messages.length < 16) {
      const length = readSync(context, buffer);
      // Each begins with its level and a space: "e overlay: …".
      messages.push(buffer.toString("utf8", 2, length).trim());
    }
  } catch {
    // ENODATA: no more of them.
  }
  return messages.join("; ");
}

function attributesOf(flags: MountFlags): number {
  return (
    (flags.readOnly ? attribute.readOnly : 0) |
    (flags.noSuid ? attribute.noSuid : 0) |
    (flags.noDev ? attribute.noDev : 0)
  );
}

/** Too long for fsconfig, or with a backslash, which the kernel takes out of `upperdir` and `workdir`. */
function needsDescriptor(path: string): boolean {
  return encodePath(path).length > longestSetting || path.includes("\\");
}

function descriptorPath(fd: number): string {
  return `/proc/self/fd/${fd}`;
}

function openTarget(target: string): OpenFile {
  const file = openAt(target, openPath | constants.O_NOFOLLOW);
  if (!fstatSync(file.fd).isSymbolicLink()) return file;
  file[Symbol.dispose]();
  throw Object.assign(new Error("ELOOP: open"), { code: "ELOOP", syscall: "open" });
}

function openLayer(path: string): OpenFile {
  return openAt(path, openPath | constants.O_NOFOLLOW | constants.O_DIRECTORY);
}

type OpenFile = Disposable & { readonly fd: number };

function openAt(path: string, flags: number): OpenFile {
  return owned(openSync(Buffer.from(encodePath(path)), flags | closeOnExec));
}

function owned(fd: number): OpenFile {
  return { fd, [Symbol.dispose]: () => closeSync(fd) };
}
