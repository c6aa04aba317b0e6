// How much more may be promised to claims, and what pending write-backs may hold.
import type { CachePolicy } from "./claim-settings.ts";
import { Failure } from "./failure.ts";
import { formatBytes } from "./quantity.ts";

/** What a claim may write at most, and what it has written. */
export type ClaimPromise = {
  readonly bytes: number;
  readonly usedBytes: number;
  /** What it has written is a Layer by now, and the store's. */
  readonly isCommitted?: boolean;
};

/** What claims take away from the store that lies beside them. */
export type Promised = {
  /** What looks free and is not. */
  readonly unusedBytes: number;
  /** That, and what they have written. */
  readonly heldBytes: number;
};

export type Room = {
  /** Without what pulls under way are still to fill. */
  readonly freeBytes: number;
  /** What a collection could free. */
  readonly collectableBytes: number;
  readonly promises: readonly ClaimPromise[];
  /** How many times over the room is given; 1: each promise can be kept. */
  readonly overcommit: number;
};

/** What is promised and not used yet: room that looks free and is not. One that is over its limit keeps none back. */
export function unusedPromises(promises: readonly ClaimPromise[]): number {
  return promises.reduce((sum, { bytes, usedBytes }) => sum + Math.max(0, bytes - usedBytes), 0);
}

/** Where the room is given several times over, as little is kept back for each. */
export function weighPromises(promises: readonly ClaimPromise[], overcommit: number): Promised {
  const unusedBytes = Math.ceil(unusedPromises(promises) / overcommit);
  const own = promises.filter(({ isCommitted }) => isCommitted !== true);
  return { unusedBytes, heldBytes: own.reduce((sum, { usedBytes }) => sum + usedBytes, unusedBytes) };
}

/** The largest claim that can be given now. */
export function claimableBytes(room: Room): number {
  const whole = room.overcommit * (room.freeBytes + room.collectableBytes);
  return Math.max(0, Math.floor(whole - unusedPromises(room.promises)));
}

/**
 * How much has to be collected before a claim of `wantedBytes` is given; 0 where there is room as it is.
 * Throws `full` where collecting all that can go would not do: another node may have the room.
 */
export function planRoom(wantedBytes: number, room: Room): number {
  const mostBytes = claimableBytes(room);
  if (wantedBytes > mostBytes) {
    throw new Failure(
      "full",
      `Cannot give ${formatBytes(wantedBytes)}: ${formatBytes(mostBytes)} of this node are neither used nor promised; ask for less, or delete claims here`,
    );
  }
  const missing = (wantedBytes + unusedPromises(room.promises)) / room.overcommit - room.freeBytes;
  return Math.max(0, Math.ceil(missing));
}

/** A claim's policy, given that write-backs wait with `pendingBytes` here; and the warning where it is another. */
export function admitPolicy(
  policy: CachePolicy,
  pending: { readonly pendingBytes: number; readonly boundBytes: number },
): { readonly policy: CachePolicy; readonly warning?: string } {
  const { pendingBytes, boundBytes } = pending;
  if (pendingBytes <= boundBytes || policy === "pull" || policy === "discard") return { policy };
  return {
    policy: "pull",
    warning: `Nothing of this claim will be written back: write-backs of others wait here with ${formatBytes(pendingBytes)}, and the node lets them hold ${formatBytes(boundBytes)} (claims.pending)`,
  };
}
