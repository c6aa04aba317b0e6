// The kernel's mount table (/proc/self/mountinfo): its lines as values, and what of it is at a path.
import { decodePath, encodePath } from "./path-bytes.ts";

/** One line of the table. Paths that are not UTF-8 are text as `decodePath` makes it. */
export type MountEntry = {
  readonly id: number;
  readonly parent: number;
  /** major:minor */
  readonly device: string;
  /** The directory of its file system that is shown, without the mark of a vanished one. */
  readonly root: string;
  /** The directory or file shown has been deleted; the mount goes on showing it. */
  readonly vanished: boolean;
  readonly target: string;
  /** Of the mount, or of the whole file system. */
  readonly readOnly: boolean;
  readonly noSuid: boolean;
  readonly noDev: boolean;
  /** Mounts made beneath it reach the peers it has (a pod, a container). */
  readonly shared: boolean;
  readonly type: string;
  readonly source: string;
  /** Of the file system, as the kernel words them; cut by it when they are very long. */
  readonly options: string;
};

/** Every line that is whole; the kernel writes no others, save a torn last one. */
export function parseMountinfo(table: Uint8Array): readonly MountEntry[] {
  // One char per byte: the paths become text only after their octal escapes are bytes again.
  const lines = Buffer.from(table.buffer, table.byteOffset, table.byteLength).toString("latin1").split("\n");
  return lines.flatMap((line) => {
    const entry = parseLine(line);
    return entry === undefined ? [] : [entry];
  });
}

function parseLine(line: string): MountEntry | undefined {
  const fields = line.split(" ");
  // Optional fields (shared:, master:, …) stand between the sixth and a lone hyphen; there may be none.
  const hyphen = fields.indexOf("-", 6);
  const [id, parent, device, root, target, flags] = fields;
  const [type, source, options] = fields.slice(hyphen + 1);
  if (hyphen < 0 || root === undefined || target === undefined || flags === undefined) return undefined;
  if (type === undefined || source === undefined || options === undefined) return undefined;
  const shown = plainPath(root);
  const vanished = shown.endsWith("//deleted");
  const has = (flag: string) => flags.split(",").includes(flag);
  return {
    id: Number(id),
    parent: Number(parent),
    device: device ?? "",
    root: vanished ? shown.slice(0, -"//deleted".length) : shown,
    vanished,
    target: plainPath(target),
    readOnly: has("ro") || options.split(",").includes("ro"),
    noSuid: has("nosuid"),
    noDev: has("nodev"),
    shared: fields.slice(6, hyphen).some((tag) => tag.startsWith("shared:")),
    type: plainPath(type),
    source: plainPath(source),
    options: plainPath(options),
  };
}

function plainPath(field: string): string {
  // Most are plain ASCII, and overlays have long ones: nothing to decode.
  if (/^[ -[\]-~]*$/.test(field)) return field;
  const bytes = field.replace(/\\([0-7]{3})/g, (_, octal: string) =>
    String.fromCharCode(Number.parseInt(octal, 8)),
  );
  return decodePath(Buffer.from(bytes, "latin1"));
}

/**
 * What is mounted at exactly this path, lowest first, topmost last; the path is absolute, without symlinks.
 * A mount that another one hides (over a directory above it) is in the table but not at its path.
 */
export function mountsAt(entries: readonly MountEntry[], path: string): readonly MountEntry[] {
  const ids = new Set(entries.map((entry) => entry.id));
  const stack: MountEntry[] = [];
  let at = entries.find(
    (entry) => entry.target === "/" && !(ids.has(entry.parent) && entry.parent !== entry.id),
  );
  while (at !== undefined) {
    if (at.target === path) stack.push(at);
    at = nextOn(entries, at, path);
  }
  return stack;
}

/** The first mount met on the way from `from` to the path: the one nearest to `from`. */
function nextOn(entries: readonly MountEntry[], from: MountEntry, path: string): MountEntry | undefined {
  const onTheWay = entries.filter(
    (entry) => entry.parent === from.id && entry.id !== from.id && isWithin(path, entry.target),
  );
  return onTheWay.sort((a, b) => encodePath(a.target).length - encodePath(b.target).length)[0];
}

function isWithin(path: string, directory: string): boolean {
  return path === directory || path.startsWith(directory === "/" ? "/" : `${directory}/`);
}
