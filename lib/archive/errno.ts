// What a system call's refusal means for the pod's owner, where it may happen to any archive or node.
import { Failure, type Reason } from "../core/failure.ts";
import { diskTrouble, errorCode } from "../host/errno.ts";
import { showName } from "./entry-name.ts";

const FAILING = ["unavailable", "cannot be made: the node's disk fails; see its kernel log"] as const;

const MEANINGS: Readonly<Record<string, readonly [Reason, string]>> = {
  ENOSPC: [
    "full",
    "does not fit: the node's disk has no bytes or no inodes left; free some, or lower store.high",
  ],
  EDQUOT: ["full", "does not fit: a quota on the node's store is used up; raise it"],
  ENAMETOOLONG: ["invalid", "has a name or a target longer than the file system takes; shorten it"],
  EFBIG: ["invalid", "is larger than the file system takes; split it"],
  E2BIG: ["invalid", "has an extended attribute larger than the file system takes; pack it without"],
  ERANGE: ["invalid", "has an extended attribute with a name longer than the kernel takes; pack it without"],
  EMLINK: ["invalid", "has more hardlinks than the file system takes; pack it with copies"],
  EINVAL: ["invalid", "has a name, an attribute or a time that the kernel refuses; pack it again"],
  EMFILE: [
    "unavailable",
    "cannot be made: the plugin has no file descriptors left; raise its limit, or try again",
  ],
  ENFILE: ["unavailable", "cannot be made: the node has no file descriptors left; try again"],
  ENOMEM: ["unavailable", "cannot be made: the node has no memory left; try again"],
  ...Object.fromEntries(diskTrouble.map((code) => [code, FAILING])),
  EROFS: ["unavailable", "cannot be made: the node's store is read-only; see its kernel log"],
};

/** The Failure for trouble with what is no entry: the blob that is read, or the directory that is filled. */
export function toJobFailure(error: unknown): unknown {
  const [reason, why] = MEANINGS[errorCode(error) ?? ""] ?? [];
  if (error instanceof Failure || (reason !== "full" && reason !== "unavailable")) return error;
  return new Failure(reason, `it ${why}`, { cause: error });
}

/** The Failure that stands for `error`; anything that is not in the table comes back as it is. */
export function toEntryFailure(error: unknown, name: string): unknown {
  if (error instanceof Failure) return error;
  const [reason, why] = MEANINGS[errorCode(error) ?? ""] ?? [];
  if (reason === undefined || why === undefined) return error;
  return new Failure(reason, `its entry ${showName(name)} ${why}`, { cause: error });
}
