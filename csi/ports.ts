// What the door tells about itself, as far as it needs it.
import type { Reason } from "../lib/core/failure.ts";

export type Log = {
  readonly [level in "debug" | "info" | "warn" | "error"]: (
    message: string,
    fields?: Readonly<Record<string, unknown>>,
  ) => void;
};

export interface CallMeter {
  /** One finished call. `reason` where it was refused; progress (`PENDING`) is no refusal. */
  observe(call: {
    readonly method: string;
    readonly code: string;
    readonly reason?: Reason;
    readonly seconds: number;
  }): void;
}
