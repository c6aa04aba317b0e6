// P3: the same large file where each connection is held to 50 MB/s, as distant registries and their storage do.
import { bringInTurns } from "./cold.ts";
import { compared, type Row } from "./row.ts";
import { oras } from "./sides/oras.ts";
import { plugin } from "./sides/plugin.ts";

const BYTES_PER_SECOND = 50e6;

export const p3: Row = {
  id: "P3",
  measure: async (stage) => {
    const artifact = await stage.artifact("raw");
    await using _ = await stage.paced(BYTES_PER_SECOND);
    const [ours, theirs] = await bringInTurns(stage, [
      { side: plugin, artifact },
      { side: oras, artifact },
    ]);
    stage.highest.set("P3", ours?.highestBytes ?? 0);
    const what = "the same file, each connection held to 50 MB/s";
    return [compared({ id: "P3", what, ours, peer: oras.name, theirs, most: 0.15 })];
  },
};
