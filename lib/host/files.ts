// The node's small files: records, marks and the room on a disk. (Layers are unpacked by descriptor, not by this.)

export type FileKind = "file" | "directory" | "symlink" | "other";

export type FilesystemRoom = {
  readonly bytesTotal: number;
  /** What is left for us, without what only root may use. */
  readonly bytesFree: number;
  readonly inodesTotal: number;
  readonly inodesFree: number;
  /** The kernel's number of the type: 0xEF53 ext4, 0x58465342 XFS, 0x794C7630 overlay, 0x01021994 tmpfs. */
  readonly type: number;
};

/**
 * Paths are absolute; names that are not UTF-8 are text as `decodePath` makes it. The last name of a path is never
 * followed where it is a symlink, save by `statFilesystem`. What is missing is `not-found`, what stands in the way
 * `conflict`, a disk that is full `full`, one that fails `unavailable`.
 */
export interface Files {
  /** The whole file, at most 64 MiB of it (`out-of-range` beyond). */
  read(path: string): Promise<Uint8Array>;
  /** Names and kinds, sorted by name; without what a write that died left behind. */
  list(directory: string): Promise<ReadonlyArray<{ readonly name: string; readonly kind: FileKind }>>;
  /**
   * The file holds exactly these bytes when it resolves, and either these or what it held before at every moment,
   * whatever dies when; mode 0600. With `durable`, a power loss does not take that back.
   */
  writeAtomically(path: string, bytes: Uint8Array, options: { readonly durable: boolean }): Promise<void>;
  /** Replaces a file or an empty directory at `to`; `conflict` when that is a directory with something in it. */
  rename(from: string, to: string): Promise<void>;
  /** Ensures a directory, and those above it, of that mode (0700) where they are made now. */
  makeDirectory(path: string, options?: { readonly mode?: number }): Promise<void>;
  /** Whether there was one to remove; never a directory (`conflict`). */
  removeFile(path: string): Promise<boolean>;
  /** Whether there was one to remove; `conflict` when it is not empty or not a directory, `in-use` for a mount. */
  removeEmptyDirectory(path: string): Promise<boolean>;
  /** What was created, renamed or removed in the directory survives a power loss. */
  syncDirectory(path: string): Promise<void>;
  /** Everything written to the file system of this path survives a power loss. May take long; holds nobody else up. */
  syncFilesystem(path: string): Promise<void>;
  statFilesystem(path: string): Promise<FilesystemRoom>;
  /** Sets the time of last change of what is there. */
  touch(path: string, timeMs: number): Promise<void>;
  /** The time of last change, in milliseconds. */
  readTouched(path: string): Promise<number>;
  /** Removes what writes that died left in the directory; for the start, when nothing writes. */
  removeLeftovers(directory: string): Promise<void>;
  /** Names the boot of the node: a new one after every restart of the machine. */
  bootId(): string;
}

/** The most a file may hold to be read whole. */
export const readLimitBytes = 64 * 1024 * 1024;

/** The name that is written before it is renamed to `name`; one per name, so a later write takes over what one left. */
export function leftoverOf(name: string): string {
  return `.${name}.new`;
}

/** Whether a name is that of a write under way, or of one that died. */
export function isLeftover(name: string): boolean {
  return name.startsWith(".") && name.endsWith(".new") && name.length > ".new".length + 1;
}
