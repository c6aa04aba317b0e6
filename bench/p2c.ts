// P2c: two hundred files of 2 MB, cold, against `oras pull` and, as ModelPack, against model-csi-driver.
import { bringInTurns } from "./cold.ts";
import { compared, type Row } from "./row.ts";
import { modelCsiDriver } from "./sides/model-csi-driver.ts";
import { oras } from "./sides/oras.ts";
import { plugin } from "./sides/plugin.ts";

export const p2c: Row = {
  id: "P2c",
  measure: async (stage) => {
    const titled = await stage.artifact("files");
    const model = await stage.artifact("files", "model");
    const [ours, theirs, oursOfModel, theirsOfModel] = await bringInTurns(stage, [
      { side: plugin, artifact: titled },
      { side: oras, artifact: titled },
      { side: plugin, artifact: model },
      { side: modelCsiDriver, artifact: model },
    ]);
    const what = "cold: 200 files of 2 MB";
    const rival = { ours: oursOfModel, peer: modelCsiDriver.name, theirs: theirsOfModel };
    return [
      compared({ id: "P2c", what, ours, peer: oras.name, theirs, most: 1 }),
      compared({ id: "P2c", what: `${what}, as ModelPack`, ...rival, most: 0.6 }),
    ];
  },
};
