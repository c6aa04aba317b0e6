// Extended attributes of entries, their values as bytes, never followed.
import type { Directory, Name } from "./directory.ts";
import { checked, cpath, libcFunction } from "./libc.ts";

const lsetxattr = libcFunction("int lsetxattr(const void *, const void *, const void *, size_t, int)");
const lgetxattr = libcFunction("long lgetxattr(const void *, const void *, void *, size_t)");
const llistxattr = libcFunction("long llistxattr(const void *, void *, size_t)");
const lremovexattr = libcFunction("int lremovexattr(const void *, const void *)");

/** The kernel's own limit for a value, and for the list of names. */
const LARGEST = 65_536;
const answer = Buffer.alloc(LARGEST);

/** Which entry: one of the directory, or with `.` the directory itself. */
export type Place = { readonly directory: Directory; readonly name: Name };

// The descriptor's link in /proc pins the directory, and the l-calls do not follow the last component.
function pathOf({ directory, name }: Place): Buffer {
  if (name === "" || name.includes("/")) throw new Error(`"${name}" is not one path component`);
  return cpath(Buffer.from(`/proc/self/fd/${directory.fd}/${name}`, "latin1"));
}

function named(name: Name): Buffer {
  return cpath(Buffer.from(name, "latin1"));
}

export function writeXattr(place: Place, name: Name, value: Uint8Array): void {
  checked("lsetxattr", lsetxattr(pathOf(place), named(name), value, value.length, 0) as number);
}

/** Nothing where the entry has no such attribute. */
export function readXattr(place: Place, name: Name): Buffer | undefined {
  try {
    const length = checked("lgetxattr", Number(lgetxattr(pathOf(place), named(name), answer, LARGEST)));
    return Buffer.from(answer.subarray(0, length));
  } catch (error) {
    if (["ENODATA", "EOPNOTSUPP"].includes((error as NodeJS.ErrnoException).code ?? "")) return undefined;
    throw error;
  }
}

/** Sorted, so that what is read twice is equal. */
export function listXattrs(place: Place): Name[] {
  const length = checked("llistxattr", Number(llistxattr(pathOf(place), answer, LARGEST)));
  return answer.toString("latin1", 0, length).split("\0").filter(Boolean).sort();
}

/** Afterwards it is not there, whether or not it was. */
export function removeXattr(place: Place, name: Name): void {
  try {
    checked("lremovexattr", lremovexattr(pathOf(place), named(name)) as number);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENODATA") throw error;
  }
}
