// P4: a claim of a cache that is already here, whatever the size of its base.
import { FAR_MS, flatRow, measureSizes, type Size } from "./coming-and-going.ts";
import { type Measured, median, type Row } from "./row.ts";

export const p4: Row = {
  id: "P4",
  measure: async (stage) => {
    const measured = await measureSizes(stage);
    return [
      ...measured.flatMap(rowsOf),
      flatRow(measured, "start", { id: "P4", what: "claim on a cache already here" }),
    ];
  },
};

function rowsOf({ label, near, far, peerMs }: Size): Measured[] {
  return [
    {
      id: "P4",
      what: `claim on a cache already here, ${label}: create to publish`,
      unit: "ms",
      ours: median(near.start),
      peer: "tar --zstd -x",
      theirs: peerMs,
      goals: [{ most: 50, of: "ours" }],
    },
    {
      id: "P4",
      what: `the same, its registry ${FAR_MS} ms away`,
      unit: "ms",
      ours: median(far.start),
      goals: [{ most: 50 + FAR_MS, of: "ours" }],
    },
  ];
}
