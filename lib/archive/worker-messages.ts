// What the unpacker and its worker threads say to each other.
import type { Reason } from "../core/failure.ts";
import type { Feed, Unpacked, UnpackJob } from "./unpacker.ts";

/** A feed as it crosses to another thread. */
export type FeedMessage = Omit<Feed, "progress"> & { readonly shared: SharedArrayBuffer };

export type ToWorker =
  | {
      readonly kind: "unpack";
      readonly id: number;
      readonly feed: FeedMessage;
      readonly job: Omit<UnpackJob, "feed">;
    }
  | { readonly kind: "verify"; readonly id: number; readonly feed: FeedMessage }
  /** The room that was asked for is there. */
  | { readonly kind: "granted"; readonly id: number }
  | { readonly kind: "cancel"; readonly id: number };

export type FromWorker =
  | { readonly kind: "room"; readonly id: number; readonly bytes: number }
  | { readonly kind: "done"; readonly id: number; readonly unpacked?: Unpacked }
  | { readonly kind: "failed"; readonly id: number; readonly reason: Reason; readonly message: string }
  | { readonly kind: "broken"; readonly id: number; readonly stack: string };
