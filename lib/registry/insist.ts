// Runs a command of ORAS again after what time may heal: the patience of the reader, for what is written.
import { isFailure, type Reason } from "../core/failure.ts";
import { Fault, TRIES } from "./fault.ts";
import { type PersistDeps, persist } from "./persist.ts";

/**
 * The result, or the Failure it ended with once patience is over. ORAS itself waits as a Retry-After tells it,
 * three seconds at most; the rest of the wait is ours.
 */
export async function insist<T>(
  deps: PersistDeps,
  host: string,
  command: () => Promise<T>,
  signal: AbortSignal,
): Promise<T> {
  const attempt = async () => {
    try {
      return await command();
    } catch (error) {
      if (!isFailure(error)) throw error;
      throw new Fault(error.reason, error.message, { tries: triesOf(error.reason), cause: error });
    }
  };
  try {
    return await persist(deps, host, attempt, signal);
  } catch (error) {
    throw error instanceof Fault && isFailure(error.cause) ? error.cause : error;
  }
}

function triesOf(reason: Reason): number {
  if (reason === "unavailable") return TRIES.trouble;
  return reason === "corrupt" ? TRIES.nonsense : TRIES.refusal;
}
