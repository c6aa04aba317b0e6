// The node's small files, on the real disk.
import { constants, readFileSync } from "node:fs";
import {
  type FileHandle,
  lstat,
  lutimes,
  mkdir,
  open,
  readdir,
  rename,
  rmdir,
  stat,
  statfs,
  unlink,
} from "node:fs/promises";
import path from "node:path";
import { Failure } from "../core/failure.ts";
import { decodePath, encodePath } from "../core/path-bytes.ts";
import type { Blocking } from "./blocking.ts";
import { errorCode, failureOf } from "./errno.ts";
import {
  type FileKind,
  type Files,
  type FilesystemRoom,
  isLeftover,
  leftoverOf,
  readLimitBytes,
} from "./files.ts";

/** `blocking` is where a sync of a whole file system waits. */
export class LinuxFiles implements Files {
  readonly #blocking: Blocking;
  readonly #writes = new Map<string, Promise<void>>();

  constructor(blocking: Blocking) {
    this.#blocking = blocking;
  }

  read(file: string): Promise<Uint8Array> {
    return attempt(`Cannot read "${file}"`, async () => {
      // Non-blocking, since opening a fifo would wait for its writer.
      const flags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
      await using handle = await open(bytesOf(file), flags);
      const { size } = await handle.stat();
      if (size > readLimitBytes)
        throw new Failure(
          "out-of-range",
          `Cannot read "${file}": it holds ${size} bytes, more than ${readLimitBytes}; remove it if it is not Larder's`,
        );
      return await handle.readFile();
    });
  }

  list(directory: string): ReturnType<Files["list"]> {
    return attempt(`Cannot list "${directory}"`, async () => {
      const flags = constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW;
      await using handle = await open(bytesOf(directory), flags);
      const entries = await readdir(`/proc/self/fd/${handle.fd}`, {
        withFileTypes: true,
        encoding: "buffer",
      });
      return entries
        .map((entry) => ({ name: decodePath(entry.name), kind: kindOf(entry) }))
        .filter(({ name }) => !isLeftover(name))
        .sort((a, b) => (a.name < b.name ? -1 : 1));
    });
  }

  /** Writes to one path follow one another, since they share the name that is written first. */
  writeAtomically(file: string, bytes: Uint8Array, options: { readonly durable: boolean }): Promise<void> {
    const before = this.#writes.get(file) ?? Promise.resolve();
    const write = before
      .catch(() => undefined) // Its own caller was told.
      .then(() => attempt(`Cannot write "${file}"`, () => writeThenRename(file, bytes, options.durable)))
      .finally(() => {
        if (this.#writes.get(file) === write) this.#writes.delete(file);
      });
    this.#writes.set(file, write);
    return write;
  }

  rename(from: string, to: string): Promise<void> {
    return attempt(`Cannot rename "${from}" to "${to}"`, () => rename(bytesOf(from), bytesOf(to)));
  }

  makeDirectory(directory: string, options?: { readonly mode?: number }): Promise<void> {
    return attempt(`Cannot make the directory "${directory}"`, async () => {
      await makeAll(directory, options?.mode ?? 0o700);
    });
  }

  removeFile(file: string): Promise<boolean> {
    return attempt(`Cannot remove "${file}"`, () => wasThere(unlink(bytesOf(file))));
  }

  removeEmptyDirectory(directory: string): Promise<boolean> {
    return attempt(`Cannot remove the directory "${directory}"`, () => wasThere(rmdir(bytesOf(directory))));
  }

  syncDirectory(directory: string): Promise<void> {
    return attempt(`Cannot sync the directory "${directory}"`, () => syncEntriesOf(directory));
  }

  syncFilesystem(directory: string): Promise<void> {
    return attempt(`Cannot sync the file system of "${directory}"`, () =>
      this.#blocking.run({ kind: "syncfs", path: directory }),
    );
  }

  statFilesystem(directory: string): Promise<FilesystemRoom> {
    return attempt(`Cannot ask for the room at "${directory}"`, async () => {
      const room = await statfs(bytesOf(directory));
      return {
        bytesTotal: room.blocks * room.bsize,
        bytesFree: room.bavail * room.bsize,
        inodesTotal: room.files,
        inodesFree: room.ffree,
        type: room.type,
      };
    });
  }

  touch(file: string, timeMs: number): Promise<void> {
    return attempt(`Cannot touch "${file}"`, () => lutimes(bytesOf(file), timeMs / 1000, timeMs / 1000));
  }

  readTouched(file: string): Promise<number> {
    return attempt(`Cannot ask when "${file}" changed`, async () => (await lstat(bytesOf(file))).mtimeMs);
  }

  removeLeftovers(directory: string): Promise<void> {
    return attempt(`Cannot tidy "${directory}"`, async () => {
      const names = (await readdir(bytesOf(directory), { encoding: "buffer" })).map(decodePath);
      for (const name of names.filter(isLeftover))
        await wasThere(unlink(bytesOf(path.join(directory, name))));
    });
  }

  bootId(): string {
    return readFileSync("/proc/sys/kernel/random/boot_id", "latin1").trim();
  }
}

async function writeThenRename(file: string, bytes: Uint8Array, durable: boolean): Promise<void> {
  const fresh = path.join(path.dirname(file), leftoverOf(path.basename(file)));
  try {
    // In the same directory, for a rename does not cross file systems.
    await using handle = await openNew(bytesOf(fresh));
    await handle.writeFile(bytes);
    // Else the name may reach the disk before the bytes do: an empty file after a power loss.
    if (durable) await handle.sync();
    await rename(bytesOf(fresh), bytesOf(file));
  } catch (error) {
    await wasThere(unlink(bytesOf(fresh))).catch(() => false); // The first error is the one to tell.
    throw error;
  }
  // Else the directory may still hold the old name after a power loss.
  if (durable) await syncEntriesOf(path.dirname(file));
}

/** Over what a dead write left, never through it; there seldom is any. */
async function openNew(file: Buffer): Promise<FileHandle> {
  try {
    return await open(file, "wx", 0o600);
  } catch (error) {
    if (errorCode(error) !== "EEXIST") throw error;
    await wasThere(unlink(file));
    return await open(file, "wx", 0o600);
  }
}

async function syncEntriesOf(directory: string): Promise<void> {
  await using handle: FileHandle = await open(
    bytesOf(directory),
    constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW,
  );
  await handle.sync();
}

async function wasThere(removal: Promise<void>): Promise<boolean> {
  try {
    await removal;
    return true;
  } catch (error) {
    if (errorCode(error) === "ENOENT") return false;
    throw error;
  }
}

async function attempt<T>(what: string, act: () => Promise<T>): Promise<T> {
  try {
    return await act();
  } catch (error) {
    throw failureOf(error, what);
  }
}

function bytesOf(file: string): Buffer {
  return Buffer.from(encodePath(file));
}

function kindOf(entry: { isFile(): boolean; isDirectory(): boolean; isSymbolicLink(): boolean }): FileKind {
  if (entry.isFile()) return "file";
  if (entry.isDirectory()) return "directory";
  return entry.isSymbolicLink() ? "symlink" : "other";
}

/** Not by Node's own way, which goes round for ever where a file system takes no directories, such as under /proc. */
async function makeAll(directory: string, mode: number): Promise<void> {
  if (await isMade(directory, mode)) return;
  await makeAll(path.dirname(directory), mode);
  if (await isMade(directory, mode)) return;
  throw new Failure(
    "invalid",
    `Cannot make the directory "${directory}": the file system there takes none; name a place on a disk`,
  );
}

/** Whether it is there; false where its parent is missing, or seems to be. */
async function isMade(directory: string, mode: number): Promise<boolean> {
  try {
    await mkdir(bytesOf(directory), { mode });
    return true;
  } catch (error) {
    if (errorCode(error) === "ENOENT" && path.dirname(directory) !== directory) return false;
    if (errorCode(error) !== "EEXIST" || !(await stat(bytesOf(directory))).isDirectory()) throw error;
    return true;
  }
}
