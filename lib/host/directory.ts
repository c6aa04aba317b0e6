// One directory held by its descriptor: what happens in it cannot be led elsewhere by a symlink or a rename.
import fs from "node:fs";
import { type EntryStatus, findStatus, readStatus, type Time } from "./entry-status.ts";
import { checked, libcFunction } from "./libc.ts";

/**
 * One path component as latin1 text, one character a byte, so that a name that is not UTF-8 survives.
 * `toName()` makes one from text that is.
 */
export type Name = string;

const { O_RDONLY, O_WRONLY, O_CREAT, O_EXCL, O_NOFOLLOW, O_DIRECTORY, O_NONBLOCK } = fs.constants;
const O_PATH = 0o10000000;
const AT_SYMLINK_NOFOLLOW = 0x100;
const AT_REMOVEDIR = 0x200;
const FICLONE = 0x40049409;
const AS_DIRECTORY = O_RDONLY | O_DIRECTORY | O_NOFOLLOW;

const mkdirat = libcFunction("int mkdirat(int, const void *, unsigned int)");
const symlinkat = libcFunction("int symlinkat(const void *, int, const void *)");
const linkat = libcFunction("int linkat(int, const void *, int, const void *, int)");
const mknodat = libcFunction("int mknodat(int, const void *, unsigned int, uint64_t)");
const unlinkat = libcFunction("int unlinkat(int, const void *, int)");
const renameat = libcFunction("int renameat(int, const void *, int, const void *)");
const fchownat = libcFunction("int fchownat(int, const void *, unsigned int, unsigned int, int)");
const utimensat = libcFunction("int utimensat(int, const void *, const void *, int)");
const ficlone = libcFunction("int ioctl(int, unsigned long, int)");
const futimens = libcFunction("int futimens(int, const void *)");

// Reused, since a call is over before the next can begin: an allocation for each would cost more than the call.
const first = Buffer.alloc(4096 + 1);
const second = Buffer.alloc(4096 + 1);
const times = Buffer.alloc(32);
const NOTHING = Buffer.alloc(1);

/** The name whose bytes are the UTF-8 of `text`. */
export function toName(text: string): Name {
  return Buffer.from(text, "utf8").toString("latin1");
}

/** `name`, NUL-ended, in `scratch` or in a buffer of its own. Throws EINVAL for a NUL inside. */
function ended(name: Name, scratch: Buffer): Buffer {
  if (name.includes("\0")) throw Object.assign(new Error("EINVAL: name with NUL"), { code: "EINVAL" });
  const target = name.length < scratch.length ? scratch : Buffer.alloc(name.length + 1);
  target.write(name, 0, "latin1");
  target[name.length] = 0;
  return target;
}

function component(name: Name, scratch: Buffer = first): Buffer {
  // A slash would let the kernel walk, and follow what lies on the way.
  if (name === "" || name.includes("/")) throw new Error(`"${name}" is not one path component`);
  return ended(name, scratch);
}

function writeTime(time: Time): Buffer {
  for (const at of [0, 16]) {
    times.writeBigInt64LE(BigInt(time.seconds), at);
    times.writeBigInt64LE(BigInt(time.nanoseconds), at + 8);
  }
  return times;
}

/** Sets when the open file was read and changed last. */
export function setFileTime(fd: number, time: Time): void {
  checked("futimens", futimens(fd, writeTime(time)) as number);
}

/** Whether the empty file `target` now holds what `source` does, in shared blocks; false where that cannot be. */
export function shareBlocks(source: number, target: number): boolean {
  try {
    checked("ioctl", ficlone(target, FICLONE, source) as number);
    return true;
  } catch (error) {
    const { code = "" } = error as NodeJS.ErrnoException;
    if (["EOPNOTSUPP", "ENOTSUP", "EXDEV", "EINVAL", "ENOTTY", "ENOSYS"].includes(code)) return false;
    throw error;
  }
}

/** Every method acts on an entry of this very directory and follows nothing. Errors are Node's own kind, with `code`. */
export class Directory implements Disposable {
  readonly fd: number;

  private constructor(fd: number) {
    this.fd = fd;
  }

  /** By a path of our own: what leads to it is trusted, the last component is not followed. */
  static open(path: string): Directory {
    return new Directory(fs.openSync(path, AS_DIRECTORY));
  }

  [Symbol.dispose](): void {
    fs.closeSync(this.fd);
  }

  /** ENOTDIR or ELOOP when it is not a directory. */
  enter(name: Name): Directory {
    return new Directory(this.#open(name, AS_DIRECTORY));
  }

  /** `..`, which for a directory that is not moved meanwhile is where it was entered from. */
  enterParent(): Directory {
    return this.enter("..");
  }

  status(name: Name): EntryStatus {
    return readStatus(this.fd, component(name));
  }

  /** Undefined where there is nothing. */
  find(name: Name): EntryStatus | undefined {
    return findStatus(this.fd, component(name));
  }

  ownStatus(): EntryStatus {
    return readStatus(this.fd, NOTHING);
  }

  /** What is in it, in no order. */
  list(): Name[] {
    return fs.readdirSync(`/proc/self/fd/${this.fd}`, { encoding: "latin1" });
  }

  /** What is in it, in no order, and which of that are directories and character devices: without asking for each. */
  census(): { readonly names: Name[]; readonly directories: Name[]; readonly devices: Name[] } {
    const found = fs.readdirSync(`/proc/self/fd/${this.fd}`, { encoding: "latin1", withFileTypes: true });
    const directories = found.filter((entry) => entry.isDirectory()).map(({ name }) => name);
    const devices = found.filter((entry) => entry.isCharacterDevice()).map(({ name }) => name);
    return { names: found.map(({ name }) => name), directories, devices };
  }

  /** A descriptor to write a file that was not there. */
  createFile(name: Name, mode: number): number {
    const flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW;
    return this.#open(name, flags, mode);
  }

  /** A descriptor to read; never waits for a fifo's other end. */
  openFile(name: Name): number {
    const flags = O_RDONLY | O_NOFOLLOW | O_NONBLOCK;
    return this.#open(name, flags);
  }

  /** What a symlink says, as latin1 text. */
  readLink(name: Name): Name {
    return fs.readlinkSync(this.#pathOf(name), { encoding: "latin1" });
  }

  makeDirectory(name: Name, mode: number): void {
    checked("mkdirat", mkdirat(this.fd, component(name), mode) as number);
  }

  makeSymlink(name: Name, target: Name): void {
    checked("symlinkat", symlinkat(ended(target, second), this.fd, component(name)) as number);
  }

  /** Another name for `fromName`, which is linked itself when it is a symlink. */
  makeLink(name: Name, from: Directory, fromName: Name): void {
    const result = linkat(from.fd, component(fromName, second), this.fd, component(name), 0);
    checked("linkat", result as number);
  }

  makeNode(
    name: Name,
    type: "character" | "block" | "fifo",
    device: { readonly major: number; readonly minor: number },
  ): void {
    const bits = { character: 0o020000, block: 0o060000, fifo: 0o010000 }[type];
    checked("mknodat", mknodat(this.fd, component(name), bits | 0o600, toDevice(device)) as number);
  }

  removeFile(name: Name): void {
    checked("unlinkat", unlinkat(this.fd, component(name), 0) as number);
  }

  removeDirectory(name: Name): void {
    checked("unlinkat", unlinkat(this.fd, component(name), AT_REMOVEDIR) as number);
  }

  rename(name: Name, to: Directory, toName: Name): void {
    const result = renameat(this.fd, component(name), to.fd, component(toName, second));
    checked("renameat", result as number);
  }

  setOwner(name: Name, uid: number, gid: number): void {
    checked("fchownat", fchownat(this.fd, component(name), uid, gid, AT_SYMLINK_NOFOLLOW) as number);
  }

  /** Not for symlinks, which have no mode. */
  setMode(name: Name, mode: number): void {
    const fd = this.#open(name, O_PATH | O_NOFOLLOW);
    try {
      fs.chmodSync(`/proc/self/fd/${fd}`, mode);
    } finally {
      fs.closeSync(fd);
    }
  }

  setTime(name: Name, time: Time): void {
    const result = utimensat(this.fd, component(name), writeTime(time), AT_SYMLINK_NOFOLLOW);
    checked("utimensat", result as number);
  }

  // Node's own call, so that the descriptors of a thread that is ended are closed with it.
  #open(name: Name, flags: number, mode?: number): number {
    return fs.openSync(this.#pathOf(name), flags, mode);
  }

  /** The descriptor's link in /proc pins the directory; only the last component is looked up. */
  #pathOf(name: Name): Buffer {
    component(name);
    return Buffer.from(`/proc/self/fd/${this.fd}/${name}`, "latin1");
  }
}

/** As the kernel packs a device's numbers. */
function toDevice({ major, minor }: { readonly major: number; readonly minor: number }): bigint {
  const [high, low] = [BigInt(major), BigInt(minor)];
  return (
    ((high & 0xfffff000n) << 32n) | ((high & 0xfffn) << 8n) | ((low & 0xffffff00n) << 12n) | (low & 0xffn)
  );
}
