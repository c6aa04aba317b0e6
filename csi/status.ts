// What callers are answered: the only file that knows gRPC's codes.
import { status } from "@grpc/grpc-js";
import { type Failure, isFailure, type Reason } from "../lib/core/failure.ts";

/**
 * The kubelet takes CANCELLED, DEADLINE_EXCEEDED, UNAVAILABLE, RESOURCE_EXHAUSTED and ABORTED for "may still be
 * under way" and unpublishes later; after any other code it forgets the volume at once. So every Reason that is
 * given only after all was undone has a final code, and what goes on or comes by itself has one of those five.
 */
const CODES = {
  invalid: status.INVALID_ARGUMENT,
  // UNIMPLEMENTED would say that the whole method is missing.
  unsupported: status.INVALID_ARGUMENT,
  // What the CSI specification wants for secrets that do not do; PERMISSION_DENIED is not in its tables.
  denied: status.UNAUTHENTICATED,
  "not-found": status.NOT_FOUND,
  conflict: status.ALREADY_EXISTS,
  "in-use": status.FAILED_PRECONDITION,
  busy: status.ABORTED,
  pending: status.ABORTED,
  "out-of-range": status.OUT_OF_RANGE,
  full: status.RESOURCE_EXHAUSTED,
  unavailable: status.UNAVAILABLE,
  corrupt: status.DATA_LOSS,
} satisfies Record<Reason, status>;

export type Answer = {
  readonly code: status;
  /** Undefined for a bug. */
  readonly reason?: Reason;
  readonly message: string;
};

const BUG =
  "Cannot finish the call: the driver met an error of its own; the log of its plugin on this node has it";

/** A long message makes the reply a reset stream, since it travels as a header. */
const MESSAGE_BYTES = 4096;

/** How an error is told to a caller: a Failure by its Reason, anything else as a bug without its words. */
export function toAnswer(error: unknown): Answer {
  const failure = failureIn(error);
  if (failure === undefined) return { code: status.INTERNAL, message: BUG };
  return { code: CODES[failure.reason], reason: failure.reason, message: cut(failure.message) };
}

export const GRANTED: Answer = { code: status.OK, message: "" };

export const isGranted = ({ code }: Answer) => code === status.OK;

/**
 * The name of the code that the caller saw, for logs and metrics: another one where it had gone before the answer.
 * Progress has a name of its own, since it shares its code with real refusals.
 */
export function codeSeen({ code, reason }: Answer, gone?: { readonly isLate: boolean }): string {
  if (gone !== undefined) return status[gone.isLate ? status.DEADLINE_EXCEEDED : status.CANCELLED];
  return reason === "pending" ? "PENDING" : status[code];
}

/**
 * Node's own calls answer an aborted signal with an AbortError that holds the signal's reason; and where what was held
 * cannot be let go of after a Failure, that is still what the caller is to hear.
 */
function failureIn(error: unknown): Failure | undefined {
  if (error instanceof SuppressedError) return failureIn(error.suppressed);
  if (isFailure(error)) return error;
  const aborted = error instanceof Error && error.name === "AbortError";
  return aborted && isFailure(error.cause) ? error.cause : undefined;
}

/** At most 4 KiB, whole characters, and none that a header cannot carry. */
function cut(message: string): string {
  const text = message.toWellFormed();
  const bytes = Buffer.from(text);
  if (bytes.length <= MESSAGE_BYTES) return text;
  let end = MESSAGE_BYTES - Buffer.byteLength("…");
  while (((bytes[end] ?? 0) & 0xc0) === 0x80) end--;
  return `${bytes.toString("utf8", 0, end)}…`;
}
