// Runs a command of ORAS again after what time may heal: the patience of the reader, for what is written.
import { isFailure, type Reason } from "../core/failure.ts";
import { Fault, TRIES } from "./fault.ts";
import { type PersistDeps, persist } from "./persist.ts";

type Insistence<T> = {
  readonly host: string;
  readonly command: () => Promise<T>;
  /** Cheap, and patient by itself. */
  readonly prepare: () => Promise<T | undefined>;
};

/** Each attempt sends its whole body again. */
const LEAST_WAIT_MS = 1_000;

/**
 * The result, or the Failure it ended with once patience is over. ORAS waits no longer than three seconds for a
 * Retry-After, and does not tell it; a caller whose command is dear asks for something cheap before, which does.
 */
export async function insist<T>(
  deps: PersistDeps,
  host: string,
  command: () => Promise<T>,
  signal: AbortSignal,
): Promise<T> {
  return await insistOn(deps, { host, command, prepare: async () => undefined }, signal);
}

/** As `insist`; what `prepare` resolves to, where it is not undefined, is the result without the command. Its Failures end it. */
export async function insistOn<T>(
  deps: PersistDeps,
  { host, command, prepare }: Insistence<T>,
  signal: AbortSignal,
): Promise<T> {
  const attempt = async () => {
    const prepared = await prepare();
    if (prepared !== undefined) return prepared;
    try {
      return await command();
    } catch (error) {
      if (!isFailure(error)) throw error;
      const facts = { tries: triesOf(error.reason), retryAfterMs: LEAST_WAIT_MS, cause: error };
      throw new Fault(error.reason, error.message, facts);
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
