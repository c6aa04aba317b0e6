// What is told when an entry cannot be packed.
import { Failure } from "../core/failure.ts";
import { failureOf } from "../host/errno.ts";
import { showName } from "./entry-name.ts";

/** Names the entry, once; anything that is a bug comes back as it is. */
export function packFailure(error: unknown, path: string): unknown {
  const attempt = `Cannot pack ${showName(path)}`;
  if (!(error instanceof Failure)) return failureOf(error, attempt);
  if (error.message.startsWith("Cannot ")) return error;
  return new Failure(error.reason, `${attempt}: ${error.message}`, { cause: error });
}
