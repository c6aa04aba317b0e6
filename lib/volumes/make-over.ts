// Waits for the Layers that a volume starts from to be made over for its pods' group.
import type { Digest } from "../core/digest.ts";
import type { GroupedLayers, LeasedLayers } from "../trees/grouped-layers.ts";
import { type Clock, waitFor } from "./patience.ts";
import type { Call } from "./requests.ts";

export type MakeOverDeps = {
  readonly groupedLayers: Pick<GroupedLayers, "lease">;
  readonly clock: Clock;
};

/** The lowest first; none, where all that there is is what pods write. */
export type MadeOver = {
  readonly volumeId: string;
  readonly layers: readonly Digest[];
  readonly gid: number;
};

/** The same Layers for the group, kept until it is disposed of. `pending` while they are made, `full`, `unavailable`. */
export async function makeOver(
  { groupedLayers, clock }: MakeOverDeps,
  { volumeId, layers, gid }: MadeOver,
  call: Call,
): Promise<LeasedLayers> {
  const words = () => `Making the base of the volume "${volumeId}" over for the group ${gid}`;
  return await waitFor(clock, call, words, () => groupedLayers.lease(layers, gid));
}
