// Extended attributes of entries, their values as bytes, never followed.
import type { Directory, Name } from "./directory.ts";
import { answered, checked, cpath, libcFunction } from "./libc.ts";

const lsetxattr = libcFunction("int lsetxattr(const void *, const void *, const void *, size_t, int)");
const lgetxattr = libcFunction("long lgetxattr(const void *, const void *, void *, size_t)");
const llistxattr = libcFunction("long llistxattr(const void *, void *, size_t)");
const lremovexattr = libcFunction("int lremovexattr(const void *, const void *)");

/** The kernel's own limit for a value, and for the list of names. */
const LARGEST = 65_536;
const answer = Buffer.alloc(LARGEST);
const ENODATA = 61;
const EOPNOTSUPP = 95;

/** Which entry: one of the directory, or with `.` the directory itself. */
export type Place = { readonly directory: Directory; readonly name: Name };

// Reused, since a call is over before the next can begin.
const scratch = Buffer.alloc(512);
const names = new Map<Name, Buffer>();
/** Not all that a hostile tree thinks of. */
const MOST_NAMES = 1000;

// The descriptor's link in /proc pins the directory, and the l-calls do not follow the last component.
function pathOf({ directory, name }: Place): Buffer {
  if (name === "" || name.includes("/")) throw new Error(`"${name}" is not one path component`);
  const path = `/proc/self/fd/${directory.fd}/${name}`;
  if (path.length >= scratch.length || path.includes("\0")) return cpath(Buffer.from(path, "latin1"));
  scratch.write(path, 0, "latin1");
  scratch[path.length] = 0;
  return scratch;
}

function named(name: Name): Buffer {
  const known = names.get(name);
  if (known !== undefined) return known;
  const made = cpath(Buffer.from(name, "latin1"));
  if (names.size < MOST_NAMES) names.set(name, made);
  return made;
}

export function writeXattr(place: Place, name: Name, value: Uint8Array): void {
  checked("lsetxattr", lsetxattr(pathOf(place), named(name), value, value.length, 0) as number);
}

/** Nothing where the entry has no such attribute. */
export function readXattr(place: Place, name: Name): Buffer | undefined {
  const result = Number(lgetxattr(pathOf(place), named(name), answer, LARGEST));
  const length = answered("lgetxattr", result, [ENODATA, EOPNOTSUPP]);
  return length === undefined ? undefined : Buffer.from(answer.subarray(0, length));
}

/** Sorted, so that what is read twice is equal. */
export function listXattrs(place: Place): Name[] {
  const length = checked("llistxattr", Number(llistxattr(pathOf(place), answer, LARGEST)));
  if (length === 0) return [];
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
