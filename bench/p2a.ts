// P2a: an image of twelve layers, cold, against containerd's pull with unpacking.
import { bringInTurns } from "./cold.ts";
import type { Row } from "./row.ts";
import { compared } from "./row.ts";
import { containerd } from "./sides/containerd.ts";
import { plugin } from "./sides/plugin.ts";

export const p2a: Row = {
  id: "P2a",
  measure: async (stage) => {
    const artifact = await stage.artifact("image");
    const [ours, theirs] = await bringInTurns(stage, [
      { side: plugin, artifact },
      { side: containerd, artifact },
    ]);
    const what = "cold: an image of 12 layers, 600 MB unpacked";
    return [compared({ id: "P2a", what, ours, peer: containerd.name, theirs, most: 0.7 })];
  },
};
