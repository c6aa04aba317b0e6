import { describe, expect, it } from "vitest";
import { admit, type WantedVolume } from "./admit.ts";
import { digestOf } from "./digest.ts";
import { isFailure, type Reason } from "./failure.ts";
import type { InlineRecord } from "./record.ts";

const wanted: WantedVolume = {
  volumeId: "v",
  target: "/a",
  readOnly: true,
  ephemeral: true,
  mode: "single-node-writer",
  attributes: new Map([["reference", "r.example/a:b"]]),
};
const recordOf = (volume: WantedVolume): InlineRecord => ({
  kind: "inline",
  ...volume,
  digest: digestOf("m"),
  treeKey: digestOf("t"),
  boot: "b",
});
const claimed: WantedVolume = { ...wanted, ephemeral: false, mode: "multi-node-reader-only" };
const failing = (reason: Reason, why: string) =>
  expect.toSatisfy((error) => isFailure(error, reason) && error.message.includes(why));

describe("admit()", () => {
  it("creates what is not here", () => {
    expect(admit([], wanted)).toBe("create");
  });

  it("keeps what is here, asked for twice", () => {
    expect(admit([recordOf(wanted)], wanted)).toBe("keep");
  });

  it("does not count what Kubernetes adds, tokens of a republish least of all", () => {
    const again = new Map([...wanted.attributes, ["csi.storage.k8s.io/serviceAccount.tokens", "{}"]]);
    expect(admit([recordOf(wanted)], { ...wanted, attributes: again })).toBe("keep");
  });

  it.each([
    [{ readOnly: false }, "readonly true"],
    [{ attributes: new Map([["reference", "r.example/a:c"]]) }, '"reference" as "r.example/a:b"'],
    [{ attributes: new Map([...wanted.attributes, ["layout", "copy"]]) }, 'no "layout"'],
    [{ attributes: new Map() }, '"reference" as'],
    [{ ephemeral: false }, "a pod as its owner"],
  ] as ReadonlyArray<readonly [Partial<WantedVolume>, string]>)("refuses %j as a conflict", (change, why) => {
    expect(() => admit([recordOf(wanted)], { ...wanted, ...change })).toThrow(failing("conflict", why));
  });

  it("lets a PersistentVolume be at several targets, unless one pod only may have it", () => {
    const here = [recordOf(claimed), recordOf({ ...claimed, target: "/b" })];
    expect(admit(here, { ...claimed, target: "/c" })).toBe("create");
    expect(admit(here, { ...claimed, target: "/b" })).toBe("keep");
    expect(() => admit(here, { ...claimed, target: "/c", mode: "single-node-single-writer" })).toThrow(
      failing("in-use", "it is at /a"),
    );
  });

  it("keeps a pod's own volume at one target", () => {
    expect(() => admit([recordOf(wanted)], { ...wanted, target: "/b" })).toThrow(
      failing("in-use", "it is at /a"),
    );
  });
});
