// P2r: one raw file of 2 GiB, cold, against `oras pull`; what loopback itself costs is the wall on a small machine.
import { bringInTurns } from "./cold.ts";
import { compared, type Row } from "./row.ts";
import { oras } from "./sides/oras.ts";
import { plugin } from "./sides/plugin.ts";

export const p2r: Row = {
  id: "P2r",
  measure: async (stage) => {
    const artifact = await stage.artifact("raw");
    const [ours, theirs] = await bringInTurns(stage, [
      { side: plugin, artifact },
      { side: oras, artifact },
    ]);
    return [
      compared({ id: "P2r", what: "cold: one raw file of 2 GiB", ours, peer: oras.name, theirs, most: 1 }),
    ];
  },
};
