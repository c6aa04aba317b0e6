import { describe, expect, it } from "vitest";
import { MemoryQuotas } from "../host/quotas.fake.ts";
import { Limits } from "./limits.ts";

const drawn = async (project: number | undefined) => project;

describe("Limits", () => {
  it("gives nobody the project of a Record of another kind, which is cleared again when that goes", async () => {
    const quotas = new MemoryQuotas();
    const limits = new Limits({ quotas, root: "/", projects: { base: 1000, count: 10 } });
    const scratches: Array<{ project: number }> = [];
    limits.know(() => scratches);
    const first = (await limits.draw(() => scratches, drawn)) ?? 0;
    scratches.push({ project: first });
    // What it held is gone, and its Record not yet: a stop in between makes whoever comes next clear it again.
    await limits.clear(first);
    const second = (await limits.draw(() => [], drawn)) ?? 0;
    expect(second).not.toBe(first);
    scratches.pop();
    expect(await limits.draw(() => [], drawn)).toBe(first);
  });
});
