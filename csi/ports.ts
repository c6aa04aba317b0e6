// What the door tells of its calls to whoever counts them.
import type { Reason } from "../lib/core/failure.ts";

export interface CallMeter {
  /** One finished call. `reason` where it was refused; progress (`PENDING`) is no refusal. */
  observe(call: {
    readonly method: string;
    readonly code: string;
    readonly reason?: Reason;
    readonly seconds: number;
  }): void;
}
