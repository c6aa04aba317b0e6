// The C library, called directly: what Node has no function for, with errno as Node's own errors carry it.
import { getSystemErrorMap } from "node:util";
import koffi from "koffi";

// Made anew at each call of it.
const errorNames = getSystemErrorMap();
const libc = koffi.load("libc.so.6");

/** A C function by its prototype, such as `int umount2(const char *, int)`. Paths are passed by `cpath`. */
export function libcFunction(prototype: string): ReturnType<typeof libc.func> {
  return libc.func(prototype);
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
  const errno = koffi.errno();
  const code = errorNames.get(-errno)?.[0] ?? `E${errno}`;
  throw errnoError(code, errno, syscall);
}

/** The same, but undefined for an errno that is an answer: an error costs more than most calls. */
export function answered(syscall: string, result: number, answers: readonly number[]): number | undefined {
  return result < 0 && answers.includes(koffi.errno()) ? undefined : checked(syscall, result);
}

function errnoError(code: string, errno: number, syscall: string): NodeJS.ErrnoException {
  return Object.assign(new Error(`${code}: ${syscall}`), { code, errno: -errno, syscall });
}
