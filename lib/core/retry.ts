// How long to wait before a request is tried again, and when to let it be.

/** A request is retried for this long in all; beyond it Kubernetes is the retry queue. */
export const RETRY_LIMIT_MS = 120_000;

const FIRST_WAIT_MS = 200;
const LONGEST_WAIT_MS = 15_000;

/**
 * How many milliseconds to wait, or undefined to give up. `attempt` counts the failures so far from 1;
 * `elapsedMs` is since the first of them began; `random` is in [0, 1).
 * A server's Retry-After is never undercut: where it would outlast the limit there is no point in waiting.
 */
export function planRetry(failure: {
  readonly attempt: number;
  readonly elapsedMs: number;
  readonly retryAfterMs?: number | undefined;
  readonly random: number;
}): number | undefined {
  const full = Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** Math.max(0, failure.attempt - 1));
  const backoff = full / 2 + (full / 2) * failure.random;
  // Spread over a tenth: every client that met the same 429 was told the same second.
  const asked = (failure.retryAfterMs ?? 0) * (1 + failure.random / 10);
  const waitMs = Math.ceil(Math.max(backoff, asked));
  return failure.elapsedMs + waitMs > RETRY_LIMIT_MS ? undefined : waitMs;
}

/** The milliseconds that a Retry-After header asks for: seconds, or an HTTP date; undefined where it says neither. */
export function parseRetryAfter(header: string, now: number): number | undefined {
  const text = header.trim();
  if (/^[0-9]+$/.test(text)) return Number(text) * 1000;
  if (!/^[A-Z][a-z]{2,8},? .* GMT$/.test(text)) return undefined;
  const date = Date.parse(text);
  return Number.isNaN(date) ? undefined : Math.max(0, date - now);
}
