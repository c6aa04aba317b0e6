// The lock that keeps a second plugin away from a root: the kernel's, so that it goes with whoever held it.
import { closeSync, constants, ftruncateSync, openSync, readFileSync, writeSync } from "node:fs";
import { Failure, isFailure } from "../core/failure.ts";
import { errorCode, failureOf } from "./errno.ts";
import { checked, libcFunction } from "./libc.ts";

const flock = libcFunction("int flock(int fd, int operation)");
const exclusive = 2;
const withoutWaiting = 4;

/** Held until it is disposed of or the process ends, however it ends; children do not inherit it. */
export type Lock = Disposable & { readonly path: string };

/**
 * The lock of this file, which is made when it is missing and never removed: a taker that still had the removed one
 * open would hold another lock. Refuses with `busy` when someone has it, naming the process where the file tells.
 */
export function takeLock(path: string): Lock {
  const fd = openLockFile(path);
  try {
    checked("flock", flock(fd, exclusive | withoutWaiting));
  } catch (error) {
    const holder = readFileSync(fd, "latin1").trim();
    closeSync(fd);
    throw errorCode(error) === "EAGAIN" ? heldBy(holder, path) : failureOf(error, `Cannot lock "${path}"`);
  }
  signLock(fd);
  return new HeldLock(path, fd);
}

/** For people only: the lock itself is in the kernel, and the number may be one of another container's. */
function signLock(fd: number): void {
  try {
    ftruncateSync(fd);
    writeSync(fd, `${process.pid}\n`, 0);
  } catch (error) {
    // A full disk must not keep a plugin from starting that would make room on it.
    if (!isFailure(failureOf(error, "Cannot sign the lock"), "full")) throw error;
  }
}

class HeldLock implements Lock {
  readonly path: string;
  #fd: number | undefined;

  constructor(path: string, fd: number) {
    this.path = path;
    this.#fd = fd;
  }

  [Symbol.dispose](): void {
    if (this.#fd !== undefined) closeSync(this.#fd);
    this.#fd = undefined;
  }
}

function openLockFile(path: string): number {
  try {
    // Node opens everything close-on-exec.
    return openSync(path, constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW, 0o600);
  } catch (error) {
    throw failureOf(error, `Cannot open the lock "${path}"`);
  }
}

function heldBy(holder: string, path: string): Failure {
  const who = /^\d{1,10}$/.test(holder) ? `process ${holder}` : "another process";
  return new Failure(
    "busy",
    `Cannot take the lock "${path}": ${who} (as its own container counts) holds it; stop the plugin that uses this root, or set LARDER_ROOT to a root of its own`,
  );
}
