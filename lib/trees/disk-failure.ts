// What the file system refuses while the store writes, as Reasons; what only a bug can meet stays as it is.
import { Failure } from "../core/failure.ts";
import { errorCode, failureOf } from "../host/errno.ts";

const REFUSALS = ["ENOSPC", "EDQUOT", "EFBIG", "EMFILE", "ENFILE", "ENOMEM", "EIO", "EROFS", "ENAMETOOLONG"];

export function toDiskFailure(error: unknown, what: string): unknown {
  const refused = !(error instanceof Failure) && REFUSALS.includes(errorCode(error) ?? "");
  return refused ? failureOf(error, `Cannot store ${what}`) : error;
}
