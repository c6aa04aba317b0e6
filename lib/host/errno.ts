// What the kernel answered, as a Reason: the one table from errno to refusal.
import { Failure, type Reason } from "../core/failure.ts";

/** What a disk answers that fails, or is gone: EUCLEAN is a file system's word for one that is damaged. */
export const diskTrouble: readonly string[] =
  "EIO EUCLEAN EBADMSG EBADE ENOLINK ENOMEDIUM ENXIO EREMOTEIO ESTALE ETIMEDOUT ENOTCONN ESHUTDOWN".split(
    " ",
  );

/** Those of them for which Node has a number alone. */
const nameless = new Map(
  Object.entries({
    52: "EBADE",
    67: "ENOLINK",
    74: "EBADMSG",
    116: "ESTALE",
    117: "EUCLEAN",
    123: "ENOMEDIUM",
  }),
);

const failing = ["unavailable", "the disk failed to read or write; look at the node's kernel log"] as const;

const meanings = new Map<string, readonly [reason: Reason, why: string]>(
  Object.entries({
    ENOENT: ["not-found", "it does not exist"],
    EEXIST: ["conflict", "it exists already"],
    ENOTEMPTY: ["conflict", "the directory is not empty"],
    ENOTDIR: ["conflict", "something in its path is not a directory"],
    EISDIR: ["conflict", "it is a directory"],
    ELOOP: ["conflict", "it is a symbolic link, which is never followed"],
    ENAMETOOLONG: ["invalid", "the path is too long"],
    EBUSY: ["in-use", "it is in use"],
    ENOSPC: ["full", "the file system is full; free space on it, or lower store.high"],
    EDQUOT: ["full", "the quota is used up; raise it, or free space under it"],
    EFBIG: ["full", "the file is larger than the file system allows"],
    EMFILE: ["unavailable", "the plugin has no file descriptors left; raise its limit on open files"],
    ENFILE: ["unavailable", "the node has no file descriptors left; raise fs.file-max"],
    ENOMEM: ["unavailable", "the node has no memory left for it"],
    EAGAIN: ["unavailable", "the plugin may have no more threads; raise the limit on its pod's processes"],
    ...Object.fromEntries(diskTrouble.map((code) => [code, failing])),
    EROFS: ["unavailable", "the file system is read-only"],
    EACCES: ["unavailable", "the plugin may not; run it as root, in a privileged container"],
    EPERM: ["unavailable", "the plugin may not; run it as root, in a privileged container"],
  } satisfies Record<string, readonly [Reason, string]>),
);

/**
 * The Failure that a system call's error means, worded `attempt: why`; any other error as it was, for it is a bug.
 * `detail` is what the kernel said in words.
 */
export function failureOf(error: unknown, attempt: string, detail = ""): unknown {
  const meaning = meanings.get(errorCode(error) ?? "");
  if (meaning === undefined) return error;
  const [reason, why] = meaning;
  return new Failure(reason, `${attempt}: ${why}${detail === "" ? "" : ` (${detail})`}`, { cause: error });
}

/** The Failure of what a thread was to do that could not begin, or ended in the middle of it; `cause` is what ended it. */
export function threadFailure(cause: unknown, attempt: string): Failure {
  // Node tells what kept a thread from starting only at the end of its words.
  const told = cause instanceof Error ? /\bE[A-Z]+$/.exec(cause.message)?.[0] : undefined;
  const [reason, why] = meanings.get(told ?? errorCode(cause) ?? "") ?? [];
  const words = reason === "unavailable" ? why : "the thread for it ended; the next attempt starts another";
  return new Failure("unavailable", `${attempt}: ${words}`, { cause });
}

/** The code of a system call's error, such as `ENOENT`. */
export function errorCode(error: unknown): string | undefined {
  const code = error instanceof Error && "code" in error ? error.code : undefined;
  if (typeof code !== "string") return undefined;
  const [, number = ""] = /^(?:Unknown system error -|E)(\d+)$/.exec(code) ?? [];
  return nameless.get(number) ?? code;
}
