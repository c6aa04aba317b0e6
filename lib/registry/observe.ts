// What the reader tells whoever counts and logs. Nothing here carries a credential.
import type { Reason } from "../core/failure.ts";
import type { Source } from "./reader.ts";

export type Retry = {
  readonly host: string;
  readonly reason: Reason;
  /** Who did what, in words. */
  readonly why: string;
  readonly attempt: number;
  readonly waitMs: number;
};

export interface Observe {
  /** Bytes of a blob that were handed to its sink. */
  bytes(source: Source, bytes: number): void;
  /** A request failed and is made again, after `waitMs`. */
  retry(retry: Retry): void;
  /** A mirror is passed by from now on, and asked again in the background. */
  deadMirror(host: string, why: string): void;
}
