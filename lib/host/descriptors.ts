// Descriptors that close themselves, and paths looked up once and for all.
import { closeSync, constants, fstatSync, openSync } from "node:fs";
import { encodePath } from "../core/path-bytes.ts";
import { closeOnExec, openPathOnly } from "./mount-syscalls.ts";

export type Descriptor = Disposable & { readonly fd: number };

export function owned(fd: number): Descriptor {
  return { fd, [Symbol.dispose]: () => closeSync(fd) };
}

export function openAt(path: string, flags: number): Descriptor {
  return owned(openSync(Buffer.from(encodePath(path)), flags | closeOnExec));
}

/** What is at the path, whatever it is, but a symlink (ELOOP). */
export function openPlace(path: string): Descriptor {
  const place = openAt(path, openPathOnly | constants.O_NOFOLLOW);
  if (!fstatSync(place.fd).isSymbolicLink()) return place;
  place[Symbol.dispose]();
  throw Object.assign(new Error("ELOOP: open"), { code: "ELOOP", syscall: "open" });
}

/** A short path without odd characters to what is open, for this process. */
export function pathOf({ fd }: Descriptor): string {
  return `/proc/self/fd/${fd}`;
}
