// An expected refusal, with the one reason that decides how callers are answered.

/** Why an operation was refused. `csi/status.ts` gives each its gRPC code. */
export type Reason =
  | "invalid"
  | "unsupported"
  | "denied"
  | "not-found"
  | "conflict"
  | "in-use"
  | "busy"
  | "pending"
  | "out-of-range"
  | "full"
  | "unavailable"
  | "corrupt";

/** Expected, and written for the pod's owner; anything else that is thrown is a bug. */
export class Failure extends Error {
  override readonly name = "Failure";
  readonly reason: Reason;

  constructor(reason: Reason, message: string, options?: { readonly cause?: unknown }) {
    super(message, options);
    this.reason = reason;
  }
}

/** Whether `error` is a Failure, of that reason where one is named. */
export function isFailure(error: unknown, reason?: Reason): error is Failure {
  return error instanceof Failure && (reason === undefined || error.reason === reason);
}
