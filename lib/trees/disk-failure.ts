// What the file system refuses while the store writes, as Reasons; what only a bug can meet stays as it is.
import { isFailure } from "../core/failure.ts";
import { errorCode, failureOf } from "../host/errno.ts";

export function toDiskFailure(error: unknown, what: string): unknown {
  const failure = failureOf(error, `Cannot store ${what}`);
  const isDisks = isFailure(failure, "full") || isFailure(failure, "unavailable");
  return isDisks || errorCode(error) === "ENAMETOOLONG" ? failure : error;
}
