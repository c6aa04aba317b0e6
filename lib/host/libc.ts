// The C library, called directly: what Node has no function for, with errno as Node's own errors carry it.
import { getSystemErrorMap } from "node:util";
import koffi from "koffi";

// Made anew at each call of it.
const errorNames = getSystemErrorMap();
const libc = koffi.load("libc.so.6");

type CFunction = ReturnType<typeof libc.func>;

/** EINTR, EAGAIN, ETIMEDOUT: what waiting for a lock leaves behind. */
const LEFT_BY_LOCKS: readonly number[] = [4, 11, 110];

/** Of this thread's last call. */
let lastErrno = 0;

/**
 * A C function by its prototype, such as `int umount2(const char *, int)`. Paths are passed by `cpath`. One that tells
 * of a failure once, and then no more, is called once.
 */
export function libcFunction(
  prototype: string,
  { mostCalls = 4 } = {},
): (...args: Parameters<CFunction>) => ReturnType<CFunction> {
  const call = libc.func(prototype);
  return (...args) => {
    const made = makeCall(
      () => call(...args),
      () => koffi.errno(),
      mostCalls,
    );
    lastErrno = made.errno;
    return made.result;
  };
}

/**
 * The result, and errno where it is negative. V8 may wait for a lock of its own before errno is read, which then tells
 * of that wait: the call is made again, since one that fails has done nothing.
 */
export function makeCall<T>(
  call: () => T,
  readErrno: () => number,
  mostCalls: number,
): { readonly result: T; readonly errno: number } {
  for (let left = mostCalls; ; left--) {
    const result = call();
    const errno = Number(result) < 0 ? readErrno() : 0;
    if (left <= 1 || !LEFT_BY_LOCKS.includes(errno)) return { result, errno };
  }
}

/** A NUL-ended path: koffi's own strings cannot carry names that are not UTF-8. Refuses NUL inside. */
export function cpath(path: string | Uint8Array): Buffer {
  const bytes =
    typeof path === "string" ? Buffer.from(path) : Buffer.from(path.buffer, path.byteOffset, path.length);
  if (bytes.includes(0)) throw errnoError("EINVAL", 22, "path with NUL");
  return Buffer.concat([bytes, Buffer.alloc(1)]);
}

/** The result, or Node's kind of error (`code`, `errno`, `syscall`) when it is negative. Call it at once. */
export function checked(syscall: string, result: number): number {
  if (result >= 0) return result;
  const errno = lastErrno;
  const code = errorNames.get(-errno)?.[0] ?? `E${errno}`;
  throw errnoError(code, errno, syscall);
}

/** The same, but undefined for an errno that is an answer: an error costs more than most calls. */
export function answered(syscall: string, result: number, answers: readonly number[]): number | undefined {
  return result < 0 && answers.includes(lastErrno) ? undefined : checked(syscall, result);
}

function errnoError(code: string, errno: number, syscall: string): NodeJS.ErrnoException {
  return Object.assign(new Error(`${code}: ${syscall}`), { code, errno: -errno, syscall });
}
