// What is said between the thread that decides what is asked for and those that receive it.
import type { Range } from "../core/ranges.ts";
import type { BlobSink } from "./reader.ts";
import type { Outgoing } from "./transport.ts";

/** What an answer brings, which of it is wanted (in order), and where that goes. */
export type PourOrder = Range &
  Pick<BlobSink, "into"> & {
    readonly wanted: readonly Range[];
    /** Whether all of it together is to be hashed. */
    readonly hashes: boolean;
  };

export type ToReceiver =
  | { readonly kind: "send"; readonly id: number; readonly outgoing: Omit<Outgoing, "url"> & { url: string } }
  | { readonly kind: "pour"; readonly id: number; readonly order: PourOrder }
  | { readonly kind: "discard"; readonly id: number }
  | { readonly kind: "abort"; readonly id: number };

/** How a body ended: as long as was due, or not. */
export type Ending = "whole" | "fewer" | "more";

/** An error as it crosses to another thread; `code` is what it or its cause has. */
export type SentError = { readonly message: string; readonly stack?: string; readonly code?: string };

/** The last three end the answer: nothing of it is written afterwards. */
export type FromReceiver =
  | {
      readonly kind: "head";
      readonly id: number;
      readonly status: number;
      readonly headers: Readonly<Record<string, string>>;
    }
  | { readonly kind: "wrote"; readonly id: number; readonly range: Range; readonly digest?: string }
  | { readonly kind: "end"; readonly id: number; readonly ending: Ending }
  | { readonly kind: "broken"; readonly id: number; readonly error: SentError }
  /** By the disk. */
  | { readonly kind: "refused"; readonly id: number; readonly error: SentError };
