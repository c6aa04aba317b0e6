// The paths that an artifact's layers are given by their titles: relative, plain, and free of each other.
import { Failure } from "./failure.ts";

const LONGEST_NAME = 255;
const LONGEST_PATH = 4095;

/**
 * The path that `title` spells, without `.` parts or doubled slashes; "" for the title `.`, which only a directory
 * may have. Throws `invalid`, quoting the title.
 */
export function parseTitle(title: string, kind: "file" | "directory"): string {
  const refuse = (why: string) =>
    new Failure(
      "invalid",
      `Cannot use the title ${quoteTitle(title)}: ${why}; push the artifact again with relative paths`,
    );
  if (title === "") throw refuse("it is empty");
  if (title.startsWith("/")) throw refuse("it is an absolute path");
  if (title.includes("\0")) throw refuse("it holds a NUL");
  // Lone surrogates all become the same bytes in a file system, so two titles would be one file.
  if (!title.isWellFormed()) throw refuse("it is not valid Unicode");
  const parts = title.split("/").filter((part) => part !== "" && part !== ".");
  if (parts.includes("..")) throw refuse('it leads out of the volume with ".."');
  if (kind === "file" && parts.length === 0) throw refuse("a single file needs a name of its own");
  if (kind === "file" && /(?:^|\/)\.?$/.test(title)) throw refuse("it names a directory, and this is a file");
  if (parts.some((part) => Buffer.byteLength(part) > LONGEST_NAME)) {
    throw refuse(`a part of it is longer than ${LONGEST_NAME} bytes`);
  }
  const path = parts.join("/");
  if (Buffer.byteLength(path) > LONGEST_PATH) throw refuse(`it is longer than ${LONGEST_PATH} bytes`);
  return path;
}

/** Throws `invalid` where two paths are the same, or one is a file and another lies beneath it. */
export function refuseConflicts(files: readonly string[], directories: readonly string[]): void {
  const taken = new Set<string>();
  for (const path of [...files, ...directories]) {
    if (taken.has(path)) {
      throw new Failure(
        "invalid",
        `Cannot bring two layers with the title ${quoteTitle(path === "" ? "." : path)}: give each layer a title of its own`,
      );
    }
    taken.add(path);
  }
  const fileSet = new Set(files);
  for (const path of taken) {
    const above = parentsOf(path).find((parent) => fileSet.has(parent));
    if (above === undefined) continue;
    throw new Failure(
      "invalid",
      `Cannot bring the title ${quoteTitle(path)}: the title ${quoteTitle(above)} is a file, and cannot be its directory too; rename one of them`,
    );
  }
}

function parentsOf(path: string): readonly string[] {
  const parts = path.split("/");
  return parts.slice(1).map((_, index) => parts.slice(0, index + 1).join("/"));
}

/** A title for a message: quoted, what cannot be printed escaped, and cut. */
function quoteTitle(title: string): string {
  return JSON.stringify(title.length > 120 ? `${title.slice(0, 120)}…` : title);
}
