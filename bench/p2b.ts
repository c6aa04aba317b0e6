// P2b: one folder of very many files as tar+gzip, cold, against `oras pull`.
import { bringInTurns } from "./cold.ts";
import { compared, type Row } from "./row.ts";
import { oras } from "./sides/oras.ts";
import { plugin } from "./sides/plugin.ts";

export const p2b: Row = {
  id: "P2b",
  measure: async (stage) => {
    const artifact = await stage.artifact("tree");
    const [ours, theirs] = await bringInTurns(stage, [
      { side: plugin, artifact },
      { side: oras, artifact },
    ]);
    stage.highest.set("P2b", ours?.highestBytes ?? 0);
    const what = "cold: a directory of 65,000 files, 1 GB, tar+gzip";
    return [compared({ id: "P2b", what, ours, peer: oras.name, theirs, most: 0.6 })];
  },
};
