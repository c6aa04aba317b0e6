// Waits for what may outlast the caller, and says `pending` while the caller can still hear it.
import { Failure, isFailure } from "../core/failure.ts";
import type { Call } from "./requests.ts";

export type Clock = {
  now(): number;
  /** Resolves after `ms`, or at once when the signal aborts. */
  pause(ms: number, signal: AbortSignal): Promise<void>;
};

/** The answer needs this long to reach the caller: a tenth of the time left, between a tenth of a second and two seconds. */
function marginMs(leftMs: number): number {
  return Math.min(2_000, Math.max(100, leftMs / 10));
}

/**
 * What `begin` resolves to, if that is before the caller's deadline draws near; else throws `pending` with `words`.
 * `begin` is told by its signal that nobody waits any more; what it waited for goes on. Where it answers that with a
 * Failure of its own, such as what ails a registry that it asked again and again, the caller hears that instead.
 */
export async function waitFor<T>(
  clock: Clock,
  call: Call,
  words: () => string,
  begin: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const leaving = new AbortController();
  const signal = AbortSignal.any([call.signal, leaving.signal]);
  const outcome = begin(signal);
  try {
    if (call.deadline === Number.POSITIVE_INFINITY) return await outcome;
    const left = call.deadline - clock.now();
    const late = clock.pause(Math.max(0, left - marginMs(left)), signal).then(() => "late" as const);
    const first = await Promise.race([outcome.then((value) => ({ value })), late]);
    if (first !== "late") return first.value;
    leaving.abort();
    throw (await troubleOf(outcome)) ?? new Failure("pending", words());
  } finally {
    leaving.abort();
  }
}

/** The Failure that it ends with now that it was told to stop; undefined where it goes on, or just stops. */
async function troubleOf(outcome: Promise<unknown>): Promise<Failure | undefined> {
  const ended = outcome.then(letGo, (error: unknown) => (isFailure(error) ? error : undefined));
  // An abort travels through promises alone, so whoever heeds it has answered by the next turn of the event loop.
  return await Promise.race([ended, new Promise<undefined>((resolve) => setImmediate(resolve, undefined))]);
}

/** What arrives after we stopped waiting is let go of, lest it be held for ever. */
function letGo(value: unknown): undefined {
  if (typeof value === "object" && value !== null && Symbol.dispose in value)
    (value as Disposable)[Symbol.dispose]();
}

type Bounds = { readonly signal: AbortSignal; readonly patienceMs: number };

/** `work` with a signal that also ends, with a Failure that says so, once it has been patient for long enough. */
export async function withPatience<T>(
  clock: Clock,
  { signal, patienceMs }: Bounds,
  work: (asking: AbortSignal) => Promise<T>,
): Promise<T> {
  const enough = new AbortController();
  const asking = AbortSignal.any([signal, enough.signal]);
  const seconds = Math.round(patienceMs / 100) / 10;
  void clock
    .pause(patienceMs, asking)
    .then(() => enough.abort(new Failure("unavailable", `There was no answer within ${seconds} s`)));
  try {
    return await work(asking);
  } finally {
    enough.abort();
  }
}
