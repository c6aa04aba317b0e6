// Why one request failed, before it is decided whether it is tried again or told to anybody.
import { Failure, type Reason } from "../core/failure.ts";

/** How often it makes sense to ask: a refusal once, nonsense a few times (elsewhere first), trouble until the time is over. */
export const TRIES = { refusal: 1, nonsense: 4, trouble: Number.POSITIVE_INFINITY } as const;

/** Against a server that breaks its promises: nobody but who runs it can do anything. */
export const MEND_THERE = "push the artifact again, or tell the registry's administrator";

type Facts = {
  readonly tries: number;
  readonly retryAfterMs?: number | undefined;
  /** What the pod's owner or the administrator can do about it. */
  readonly help?: string | undefined;
  /** The host did not answer at all: it may be dead. */
  readonly silent?: boolean;
  readonly cause?: unknown;
};

/** Stays inside this room: the port throws the Failure that `failureOf` makes of it. The message says who did what. */
export class Fault extends Error {
  override readonly name = "Fault";
  readonly reason: Reason;
  readonly facts: Facts;

  constructor(reason: Reason, message: string, facts: Facts) {
    super(message, { cause: facts.cause });
    this.reason = reason;
    this.facts = facts;
  }
}

/** The Failure for `what` was attempted ("pull r.example/a:v1"). */
export function failureOf(fault: Fault, what: string): Failure {
  const help = fault.facts.help === undefined ? "" : `; ${fault.facts.help}`;
  return new Failure(fault.reason, `Cannot ${what}: ${fault.message}${help}`, { cause: fault });
}
